"""The REST interface, for any FastAPI application."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import FileResponse

import sadtalker_ext
from sadtalker_ext.api.job_requests import read_order
from sadtalker_ext.api.options import ApiOptions, check_login, check_sender
from sadtalker_ext.api.responses import EngineView, ErrorView, HealthView, JobView, view_engine, view_job
from sadtalker_ext.engines.registry import engine_states, setting_specs
from sadtalker_ext.pipeline.inputs import EYES_AND_POSE, USES
from sadtalker_ext.pipeline.job import DONE, RUNNING, WAITING, Job
from sadtalker_ext.pipeline.job_queue import BusyError, JobQueue
from sadtalker_ext.settings import Settings

PREFIX = "/sadtalker/v1"
REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorView} for code in (400, 401, 403, 404, 409, 411, 413, 415, 422, 503)
}
_SOURCE = {
    "description": "exactly one of base64 (may be a data: URL), path (on the server) and url",
    "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
    "properties": {way: {"type": "string"} for way in ("base64", "path", "url")},
}  # fmt: skip
_UPLOAD = {"type": "string", "format": "binary"}
_WORDS = {
    "voice": "any sound, or a video with sound; left out where idle_s is given",
    "reference": "a video with a face to take after, for engines that can",
}
_MORE: dict[str, dict[str, Any]] = {
    "idle_s": {
        "type": "number", "minimum": 0.2, "maximum": 7200,
        "description": "instead of a voice: seconds that the portrait blinks and moves without a word",
    },
    "reference_use": {
        "type": "string", "enum": list(USES), "default": EYES_AND_POSE,
        "description": "what is taken from the reference: the blinks, the head's movement, both, or everything",
    },
}  # fmt: skip


def make_router(workshop: JobQueue, doors: ApiOptions) -> APIRouter:
    """All routes under :data:`PREFIX`, working for ``workshop``; what comes in is judged by ``doors``."""

    def admit(request: Request) -> None:
        check_sender(request, doors.allowed)
        check_login(request, doors.logins)

    router = APIRouter(prefix=PREFIX, tags=["SadTalker"], dependencies=[Depends(admit)], responses=REFUSALS)
    _add_jobs(router, workshop, doors)
    _add_facts(router, workshop, doors)
    return router


class Jobs:
    """The routes of jobs."""

    def __init__(self, workshop: JobQueue, doors: ApiOptions) -> None:
        self._workshop, self._doors = workshop, doors

    async def create(self, request: Request) -> JobView:
        """Take an order."""
        order = await read_order(request, self._doors)
        try:
            return view_job(self._workshop.submit(order))
        except BusyError as e:
            raise HTTPException(503, str(e), headers={"Retry-After": "30"}) from e

    def look(self, job_id: str) -> JobView:
        """How far a job is."""
        return view_job(self._job(job_id))

    def video(self, job_id: str) -> FileResponse:
        """The video of a job that is done."""
        job = self._job(job_id)
        if job.state != DONE:
            raise HTTPException(409, f"The job is {job.state}: {job.error or 'its video is not there yet'}")
        if not job.request.output.is_file():
            raise HTTPException(404, "The video has been removed")
        return FileResponse(job.request.output, media_type="video/mp4", filename=f"sadtalker_{job.id[:8]}.mp4")

    def cancel(self, job_id: str) -> JobView:
        """Stop a job, or forget one that has ended."""
        job = self._job(job_id)
        if job.ended:
            self._workshop.remove(job)
        else:
            self._workshop.cancel(job)
        return view_job(job)

    def _job(self, job_id: str) -> Job:
        job = self._workshop.find(job_id)
        if job is None:
            raise HTTPException(404, f"There is no job {job_id[:64]!r} (any more)")
        return job


def _add_jobs(router: APIRouter, workshop: JobQueue, doors: ApiOptions) -> None:
    jobs = Jobs(workshop, doors)

    def add(path: str, endpoint: Any, method: str, **words: Any) -> None:  # noqa: ANN401 - FastAPI's own
        router.add_api_route(path, endpoint, methods=[method], **words)

    add("/jobs", jobs.create, "POST", response_model=JobView, status_code=202, openapi_extra=job_body(),
        summary="Make a portrait speak, or idle")  # fmt: skip
    add("/jobs/{job_id}", jobs.look, "GET", response_model=JobView, summary="How far a job is")
    add("/jobs/{job_id}/video", jobs.video, "GET", response_class=FileResponse, summary="The video of a job")
    add("/jobs/{job_id}", jobs.cancel, "DELETE", response_model=JobView,
        summary="Stop a job, or forget one that has ended")  # fmt: skip


def _add_facts(router: APIRouter, workshop: JobQueue, doors: ApiOptions) -> None:
    def engines() -> list[EngineView]:
        return [view_engine(state) for state in engine_states(doors.checkpoints)]

    def schema() -> dict[str, Any]:
        return Settings.json_schema(setting_specs())

    def health() -> HealthView:
        states = [job.state for job in workshop.jobs()]
        waiting, running = states.count(WAITING), states.count(RUNNING)
        return HealthView(status="ok", version=sadtalker_ext.__version__, waiting=waiting, running=running)

    for path, endpoint, model, summary in (
        ("/engines", engines, list[EngineView], "The engines and what they lack"),
        ("/settings/schema", schema, dict[str, Any], "JSON schema of a job's settings"),
        ("/health", health, HealthView, "Whether the service works"),
    ):
        router.add_api_route(path, endpoint, methods=["GET"], response_model=model, summary=summary)


def job_body() -> dict[str, Any]:
    """OpenAPI's description of the body of POST /jobs."""
    kinds: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "application/json": (_SOURCE, Settings.json_schema(setting_specs())),
        "multipart/form-data": (_UPLOAD, {"type": "string", "description": "a JSON object"}),
    }
    content = {kind: {"schema": _order_schema(*forms)} for kind, forms in kinds.items()}
    return {"requestBody": {"required": True, "content": content}}


def _order_schema(source: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """What an order is made of, where files are given as ``source`` says and settings as ``settings`` says."""
    ways = source.get("description", "a file")
    files = {name: source | {"description": f"{words}: {ways}"} for name, words in _WORDS.items()}
    return {
        "type": "object", "required": ["portrait"], "oneOf": [{"required": ["voice"]}, {"required": ["idle_s"]}],
        "properties": {"portrait": source, **files, **_MORE, "settings": settings},
    }  # fmt: skip
