"""The routes of the REST API, for any FastAPI application."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Depends, HTTPException, Request, Response
from fastapi.responses import FileResponse

import sadtalker_ext
from sadtalker_ext.api.job_requests import read_job_request
from sadtalker_ext.api.options import ApiOptions, check_login, check_sender
from sadtalker_ext.api.responses import (
    EngineView,
    ErrorView,
    HealthView,
    JobView,
    VoiceView,
    view_engine,
    view_job,
    view_voice,
)
from sadtalker_ext.api.video_response import GLB, WAV, video_response
from sadtalker_ext.constants import MAX_CLIP_S, MIN_CLIP_S
from sadtalker_ext.engines.registry import engine_states, setting_specs
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.pipeline.inputs import EYES_AND_POSE, USES
from sadtalker_ext.pipeline.job import DONE, RUNNING, WAITING, Job
from sadtalker_ext.pipeline.job_queue import BusyError, JobQueue
from sadtalker_ext.settings import Settings
from sadtalker_ext.tts.text_parts import MAX_CHARACTERS
from sadtalker_ext.tts.voices import list_voices

PREFIX: Final = "/sadtalker/v1"
RETRY_AFTER_S: Final = 30
"""Seconds after which a client should try again when the queue is full."""
ERROR_RESPONSES: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorView} for code in (400, 401, 403, 404, 408, 409, 411, 413, 415, 422, 503)
}
VIDEO_RESPONSES: dict[int | str, dict[str, Any]] = {
    206: {"description": "the part of the video that the Range header names"},
    416: {"description": "the range begins after the end of the video"},
}
_FILE_OBJECT: Final = {
    "description": "exactly one of base64 (may be a data: URL), path (on the server) and url",
    "type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False,
    "properties": {source: {"type": "string"} for source in ("base64", "path", "url")},
}  # fmt: skip
_UPLOAD: Final = {"type": "string", "format": "binary"}
_FILE_DESCRIPTIONS: Final = {
    "voice": "an audio file, or a video with sound; omitted if text or idle_s is given",
    "reference": "a video whose face motion is copied, for engines that support it",
}
_OTHER_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "text": {
        "type": "string", "maxLength": MAX_CHARACTERS,
        "description": "instead of a voice: text that is read aloud by the voice of the setting tts_voice",
    },
    "idle_s": {
        "type": "number", "minimum": MIN_CLIP_S, "maximum": MAX_CLIP_S,
        "description": "instead of a voice: duration in seconds of a clip in which the portrait blinks and moves "
        "without speaking",
    },
    "reference_use": {
        "type": "string", "enum": list(USES), "default": EYES_AND_POSE,
        "description": "what is copied from the reference: blinks, head motion, both, or all face motion",
    },
}  # fmt: skip


def make_router(queue: JobQueue, options: ApiOptions) -> APIRouter:
    """Return a router with all routes under :data:`PREFIX`."""

    def check_access(request: Request) -> None:
        check_sender(request, options.allowed)
        check_login(request, options.logins)

    access = [Depends(check_access)]
    router = APIRouter(prefix=PREFIX, tags=["SadTalker"], dependencies=access, responses=ERROR_RESPONSES)
    _add_job_routes(router, queue, options)
    _add_information_routes(router, queue, options)
    return router


class JobRoutes:
    """Handlers of the routes of jobs."""

    def __init__(self, queue: JobQueue, options: ApiOptions) -> None:
        self._queue, self._options = queue, options

    async def create(self, request: Request) -> JobView:
        """Add a job to the queue and return its state."""
        job_request = await read_job_request(request, self._options)
        try:
            return view_job(self._queue.submit(job_request))
        except BusyError as e:
            raise HTTPException(503, str(e), headers={"Retry-After": str(RETRY_AFTER_S)}) from e
        except SettingsError as e:
            raise HTTPException(422, e.describe(job_request.names)) from e

    def show(self, job_id: str, request: Request) -> JobView:
        """Return the state of a job."""
        return view_job(self._find(job_id, request))

    def video(self, job_id: str, request: Request) -> Response:
        """Return the video of a finished job, or a part of it for a Range header."""
        job = self._find_done(job_id, request)
        try:
            return video_response(request, job.request.output, f"sadtalker_{job.id[:8]}.mp4")
        except OSError as e:
            raise HTTPException(404, "The video was removed from the server") from e

    def model(self, job_id: str, request: Request) -> Response:
        """Return the 3D model of a finished job whose setting ``model_3d`` is on."""
        return self._model_file(job_id, request, GLB)

    def model_sound(self, job_id: str, request: Request) -> Response:
        """Return the sound of the 3D model; 404 for an idle clip, which has none."""
        return self._model_file(job_id, request, WAV)

    def _model_file(self, job_id: str, request: Request, media_type: str) -> Response:
        job = self._find_done(job_id, request)
        model = job.result.model if job.result is not None else None
        if model is None:
            raise HTTPException(404, "The job has no 3D model; send it with the setting model_3d")
        path = model if media_type == GLB else model.with_suffix(".wav")
        try:
            return video_response(request, path, f"sadtalker_{job.id[:8]}{path.suffix}", media_type)
        except OSError as e:
            raise HTTPException(404, "There is no such file; the clip is silent, or it was removed") from e

    def cancel(self, job_id: str, request: Request) -> JobView:
        """Stop a job, or remove one that has ended."""
        job = self._find(job_id, request)
        if job.ended:
            self._queue.remove(job)
        else:
            self._queue.cancel(job)
        return view_job(job)

    def _find_done(self, job_id: str, request: Request) -> Job:
        """Return a finished job of the sender; 409 if it is not finished."""
        job = self._find(job_id, request)
        if job.state != DONE:
            reason = f"The job is {job.state}: {job.error}" if job.error else f"The job is {job.state}; try again later"
            raise HTTPException(409, reason)
        return job

    def _find(self, job_id: str, request: Request) -> Job:
        """Return a job of the sender; 404 if there is none, or if it belongs to another login."""
        job = self._queue.find(job_id)
        if job is None or job.request.owner != check_login(request, self._options.logins):
            raise HTTPException(404, f"There is no job {job_id[:64]!r}; it may have been removed")
        return job


def _add_job_routes(router: APIRouter, queue: JobQueue, options: ApiOptions) -> None:
    jobs = JobRoutes(queue, options)

    def add(path: str, endpoint: Any, method: str, **arguments: Any) -> None:  # noqa: ANN401 - as in FastAPI
        router.add_api_route(path, endpoint, methods=[method], **arguments)

    add("/jobs", jobs.create, "POST", response_model=JobView, status_code=202, openapi_extra=job_body(),
        summary="Create a job that animates a portrait")  # fmt: skip
    add("/jobs/{job_id}", jobs.show, "GET", response_model=JobView, summary="State of a job")
    add("/jobs/{job_id}/video", jobs.video, "GET", response_class=FileResponse, responses=VIDEO_RESPONSES,
        summary="Video of a finished job")  # fmt: skip
    add("/jobs/{job_id}/video", jobs.video, "HEAD", response_class=Response, include_in_schema=False)
    add("/jobs/{job_id}/model", jobs.model, "GET", response_class=FileResponse,
        summary="3D model of a finished job, binary glTF")  # fmt: skip
    add("/jobs/{job_id}/model/sound", jobs.model_sound, "GET", response_class=FileResponse,
        summary="Sound of the 3D model, WAV")  # fmt: skip
    add("/jobs/{job_id}", jobs.cancel, "DELETE", response_model=JobView,
        summary="Stop a job, or remove one that has ended")  # fmt: skip


def _add_information_routes(router: APIRouter, queue: JobQueue, options: ApiOptions) -> None:
    def engines() -> list[EngineView]:
        return [view_engine(state) for state in engine_states(options.checkpoints)]

    def voices() -> list[VoiceView]:
        return [view_voice(voice) for voice in list_voices(options.checkpoints)]

    def schema() -> dict[str, Any]:
        return Settings.json_schema(setting_specs())

    def health() -> HealthView:
        states = [job.state for job in queue.jobs()]
        waiting, running = states.count(WAITING), states.count(RUNNING)
        return HealthView(status="ok", version=sadtalker_ext.__version__, waiting=waiting, running=running)

    for path, endpoint, model, summary in (
        ("/engines", engines, list[EngineView], "Engines and the checkpoints they need"),
        ("/voices", voices, list[VoiceView], "Voices that read text aloud, for the setting tts_voice"),
        ("/settings/schema", schema, dict[str, Any], "JSON schema of the settings of a job"),
        ("/health", health, HealthView, "State of the service"),
    ):
        router.add_api_route(path, endpoint, methods=["GET"], response_model=model, summary=summary)


def job_body() -> dict[str, Any]:
    """Return the OpenAPI description of the body of POST /jobs."""
    kinds: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        "application/json": (_FILE_OBJECT, Settings.json_schema(setting_specs())),
        "multipart/form-data": (_UPLOAD, {"type": "string", "description": "a JSON object"}),
    }
    content = {kind: {"schema": _body_schema(*schemas)} for kind, schemas in kinds.items()}
    return {"requestBody": {"required": True, "content": content}}


def _body_schema(file: dict[str, Any], settings: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON schema of the body; ``file`` and ``settings`` are the schemas of these kinds of fields."""
    form = file.get("description", "a file")
    files = {name: file | {"description": f"{text}: {form}"} for name, text in _FILE_DESCRIPTIONS.items()}
    one_of = [{"required": [name]} for name in ("voice", "text", "idle_s")]
    return {
        "type": "object", "required": ["portrait"], "oneOf": one_of,
        "properties": {"portrait": file, **files, **_OTHER_FIELDS, "settings": settings},
    }  # fmt: skip
