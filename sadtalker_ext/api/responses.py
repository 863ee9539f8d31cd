"""What the REST interface answers; the same fields under either major version of pydantic."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, List, Optional  # noqa: UP035 - read at run time by pydantic 1 on Python 3.10

from pydantic import BaseModel, Field

from sadtalker_ext.pipeline.job import RUNNING

if TYPE_CHECKING:
    from sadtalker_ext.engines.entry import EngineState
    from sadtalker_ext.pipeline.job import Job


class JobView(BaseModel):
    """One job."""

    id: str = Field(..., description="name of the job in every other route")
    state: str = Field(..., description="waiting, running, done, failed or stopped")
    stage: str = Field("", description="what is being done: engine, portrait, voice, reference, motion, frames")
    frames_done: int = Field(0, description="frames of the video that are finished")
    frames_total: int = Field(0, description="frames of the video, 0 while unknown")
    left_s: Optional[float] = Field(None, description="seconds left at the present speed, null while unknown")  # noqa: UP045
    error: str = Field("", description="why it ended without a video, one sentence")
    notes: List[str] = Field(default_factory=list, description="what is worth knowing about the result")  # noqa: UP006
    result: Optional[Dict[str, Any]] = Field(None, description="size, length and timings once it is done")  # noqa: UP006, UP045
    settings: Dict[str, Any] = Field(default_factory=dict, description="every setting of the job")  # noqa: UP006


class CheckpointView(BaseModel):
    """One file that an engine needs."""

    name: str
    purpose: str
    size_bytes: int
    licence: str
    here: bool
    problem: str = Field("", description="what is wrong with it, one sentence; empty when nothing is")


class EngineView(BaseModel):
    """One engine."""

    name: str
    label: str
    ready: bool = Field(..., description="whether a job may name it")
    words: str = Field(..., description="its state, one sentence")
    references: List[str] = Field(default_factory=list, description="what it can take from a reference video")  # noqa: UP006
    checkpoints: List[CheckpointView] = Field(default_factory=list)  # noqa: UP006


class HealthView(BaseModel):
    """Whether the service works."""

    status: str
    version: str
    waiting: int
    running: int


class ErrorView(BaseModel):
    """Why a request was refused."""

    detail: str = Field(..., description="one sentence that says what to do")


def view_job(job: Job) -> JobView:
    """A job as it is now."""
    progress, result = job.progress, job.result
    drawn, drawing = progress.done, progress.stage == "frames"
    moving = job.state == RUNNING and drawing and drawn > 0
    body = result.to_mapping() if result is not None else None
    if body is not None:
        body.pop("path")
    return JobView(
        id=job.id, state=job.state, stage=progress.stage, error=job.error,
        frames_done=drawn if drawing else 0, frames_total=progress.total if drawing else 0,
        left_s=round(progress.left_s, 2) if moving else None,
        notes=list(result.notes) if result is not None else [], result=body,
        settings=job.request.settings.to_mapping(),
    )  # fmt: skip


def view_engine(state: EngineState) -> EngineView:
    """An engine as it is now; folders of the machine stay untold."""
    files = [
        CheckpointView(
            name=file.name, purpose=file.purpose, size_bytes=file.size_bytes, licence=file.licence,
            here=file.path is not None,
            problem="" if not file.problem else "missing" if file.path is None else "cannot be used",
        )
        for file in state.checkpoints
    ]  # fmt: skip
    return EngineView(
        name=state.name, label=state.label, ready=state.ready, words=state.message, references=list(state.references),
        checkpoints=files,
    )  # fmt: skip
