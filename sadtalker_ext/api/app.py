"""The REST interface alone, as ``sadtalker serve`` runs it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

import sadtalker_ext
from sadtalker_ext.api.options import ApiOptions
from sadtalker_ext.api.router import make_router
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.system.request_guard import RequestGuard


def make_app(workshop: JobQueue, doors: ApiOptions) -> FastAPI:
    """The application; when it shuts down, the workshop is closed and nothing is left."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        workshop.close()

    app = FastAPI(title="SadTalker", version=sadtalker_ext.__version__, lifespan=lifespan)
    app.include_router(make_router(workshop, doors))
    app.add_middleware(RequestGuard, allowed=doors.allowed)
    return app


def serve(workshop: JobQueue, doors: ApiOptions, host: str, port: int) -> None:
    """Answer requests until the process is told to stop."""
    import uvicorn

    uvicorn.run(make_app(workshop, doors), host=host, port=port, log_level="warning")
