"""The REST API as a standalone application, as ``sadtalker serve`` runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.middleware.cors import CORSMiddleware

import sadtalker_ext
from sadtalker_ext.api.docs_page import HEADERS, docs_page
from sadtalker_ext.api.options import ApiOptions, check_login
from sadtalker_ext.api.router import make_router
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.system.request_guard import RequestGuard


def make_app(queue: JobQueue, options: ApiOptions) -> FastAPI:
    """Return the application; when it shuts down, it closes the queue, which removes temporary results."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        options.work.root()  # removes what killed servers left
        yield
        queue.close()
        options.work.remove()

    app = FastAPI(
        title="SadTalker", version=sadtalker_ext.__version__, lifespan=lifespan,
        docs_url=None, redoc_url=None, openapi_url=None,
    )  # fmt: skip
    app.include_router(make_router(queue, options))
    _add_docs(app, options)
    if options.allowed.origins:
        app.add_middleware(
            CORSMiddleware, allow_origins=[origin.lower().rstrip("/") for origin in options.allowed.origins],
            allow_methods=["GET", "HEAD", "POST", "DELETE"], allow_headers=["Authorization", "Content-Type", "Range"],
            expose_headers=["Content-Range", "Content-Length", "Content-Disposition", "Accept-Ranges", "Retry-After"],
        )  # fmt: skip
    app.add_middleware(RequestGuard, allowed=options.allowed)
    return app


def _add_docs(app: FastAPI, options: ApiOptions) -> None:
    """Add the documentation, for the same logins as the routes."""

    def check_access(request: Request) -> None:
        check_login(request, options.logins)

    def description() -> dict[str, Any]:
        return app.openapi()

    def page(request: Request) -> HTMLResponse:
        return HTMLResponse(docs_page(app.openapi(), str(request.base_url).rstrip("/")), headers=HEADERS)

    def to_page() -> RedirectResponse:
        return RedirectResponse("docs")

    routes: dict[str, Callable[..., Any]] = {
        "/openapi.json": description, "/docs": page, "/redoc": to_page, "/": to_page,
    }  # fmt: skip
    for path, endpoint in routes.items():
        app.add_api_route(
            path, endpoint, methods=["GET", "HEAD"], include_in_schema=False, dependencies=[Depends(check_access)],
            response_model=None,
        )  # fmt: skip


def serve(queue: JobQueue, options: ApiOptions, host: str, port: int, announce: Callable[[str], None]) -> None:
    """Answer requests until the process is stopped; call ``announce`` with the URL once the address is in use."""
    from sadtalker_ext.api.server import run_server

    run_server(make_app(queue, options), host, port, announce)
