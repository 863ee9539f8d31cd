"""Response models of the REST API, with the same fields under pydantic 1 and 2."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional  # noqa: UP035 - read at run time by pydantic 1 on Python 3.10

from pydantic import BaseModel, Field

from sadtalker_ext.pipeline.job import RUNNING

if TYPE_CHECKING:
    from sadtalker_ext.engines.entry import CheckpointState, EngineState
    from sadtalker_ext.pipeline.job import Job
    from sadtalker_ext.tts.provider import Voice


class JobView(BaseModel):
    """State of a job."""

    id: str = Field(..., description="id of the job, used in the paths of the other routes")
    state: str = Field(..., description="waiting, running, done, failed or stopped")
    stage: str = Field("", description="stage: text, engine, portrait, voice, reference, motion, mesh or frames")
    frames_done: int = Field(0, description="number of finished frames of the video")
    frames_total: int = Field(0, description="number of frames of the video, 0 while unknown")
    left_s: Optional[float] = Field(None, description="estimated seconds left, null while unknown")  # noqa: UP045
    error: str = Field("", description="why the job ended without a video; empty if it did not")
    notes: List[str] = Field(default_factory=list, description="notes on the result")  # noqa: UP006
    result: Optional[Dict[str, Any]] = Field(None, description="size, duration and timings of the video, once done")  # noqa: UP006, UP045
    model: bool = Field(False, description="whether the route /jobs/{id}/model has a 3D model")
    settings: Dict[str, Any] = Field(default_factory=dict, description="every setting of the job")  # noqa: UP006


class CheckpointView(BaseModel):
    """State of a checkpoint that an engine needs."""

    name: str
    purpose: str
    size_bytes: int
    licence: str
    found: bool = Field(..., description="whether the file was found")
    problem: str = Field("", description="why the file cannot be used; empty if it can")


class EngineView(BaseModel):
    """State of an engine."""

    name: str
    label: str
    ready: bool = Field(..., description="whether jobs can use the engine")
    message: str = Field(..., description="description of the state")
    references: List[str] = Field(default_factory=list, description="what it can copy from a reference video")  # noqa: UP006
    checkpoints: List[CheckpointView] = Field(default_factory=list)  # noqa: UP006


class VoiceView(BaseModel):
    """A voice that reads text aloud."""

    name: str = Field(..., description="value of the setting tts_voice")
    language: str
    provider: str
    label: str


class HealthView(BaseModel):
    """State of the service."""

    status: str
    version: str
    waiting: int = Field(..., description="number of waiting jobs")
    running: int = Field(..., description="number of running jobs")


class ErrorView(BaseModel):
    """Error of a request."""

    detail: str = Field(..., description="what is wrong and what to do")


def view_job(job: Job) -> JobView:
    """Return the current state of a job."""
    progress, result = job.progress, job.result
    rendering = progress.stage == "frames"
    rate_known = job.state == RUNNING and rendering and progress.done > 0
    body = result.to_mapping() if result is not None else None
    if body is not None:
        body.pop("path")
        body.pop("model", None)
    return JobView(
        id=job.id, state=job.state, stage=progress.stage, error=job.error,
        frames_done=progress.done if rendering else 0, frames_total=progress.total if rendering else 0,
        left_s=round(progress.left_s, 2) if rate_known else None,
        notes=list(result.notes) if result is not None else [], result=body,
        model=result is not None and result.model is not None,
        settings=job.request.settings.to_mapping(),
    )  # fmt: skip


def view_voice(voice: Voice) -> VoiceView:
    """Return a voice without the folders of the server."""
    return VoiceView(name=voice.name, language=voice.language, provider=voice.provider, label=voice.label)


def view_engine(state: EngineState) -> EngineView:
    """Return the state of an engine without the folders of the server."""
    return EngineView(
        name=state.name, label=state.label, ready=state.ready, message=state.message, references=list(state.references),
        checkpoints=[_view_checkpoint(file) for file in state.checkpoints],
    )  # fmt: skip


def _view_checkpoint(file: CheckpointState) -> CheckpointView:
    return CheckpointView(
        name=file.name, purpose=file.purpose, size_bytes=file.size_bytes, licence=file.licence,
        found=file.path is not None,
        problem="" if not file.problem else "missing" if file.path is None else "cannot be used",
    )  # fmt: skip
