"""The REST API as a standalone application, as ``sadtalker serve`` runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import sadtalker_ext
from sadtalker_ext.api.options import ApiOptions
from sadtalker_ext.api.router import make_router
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.system.request_guard import RequestGuard


def make_app(queue: JobQueue, options: ApiOptions) -> FastAPI:
    """Return the application; when it shuts down, it closes the queue, which removes temporary results."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        queue.close()

    app = FastAPI(title="SadTalker", version=sadtalker_ext.__version__, lifespan=lifespan)
    app.include_router(make_router(queue, options))
    app.add_middleware(RequestGuard, allowed=options.allowed)
    return app


def serve(queue: JobQueue, options: ApiOptions, host: str, port: int) -> None:
    """Answer requests until the process is stopped."""
    import uvicorn

    uvicorn.run(make_app(queue, options), host=host, port=port, log_level="warning")
