"""What happens when something on the page is used. Every action answers with a sentence, never with a traceback."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import gradio as gr

from sadtalker_ext.engines.registry import engine_state
from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.pipeline.environment import missing_packages
from sadtalker_ext.pipeline.inputs import ALL, EYES, EYES_AND_POSE, POSE, Inputs
from sadtalker_ext.pipeline.job import DONE, Job, JobRequest
from sadtalker_ext.pipeline.job_queue import STOPPED_BEFORE_START
from sadtalker_ext.pipeline.output import dated_output
from sadtalker_ext.webui.engine_panel import panel_view
from sadtalker_ext.webui.face_picker import faces_view
from sadtalker_ext.webui.html import job_view, message
from sadtalker_ext.webui.page_context import PageContext, open_in_file_manager
from sadtalker_ext.webui.results import details_view, gallery_view, result_named
from sadtalker_ext.webui.setting_widgets import settings_of, values_of
from sadtalker_ext.webui.uploads import kept_name, received_file
from sadtalker_ext.weights.catalog import MIRRORS

NO_PORTRAIT = "Choose a portrait first: drop a picture into the field Portrait."
NO_VOICE = (
    "Choose a voice first: drop a sound into the field Voice, or record one. For a silent video, give its length under "
    "Without a voice."
)
VOICE_AND_IDLE = "There is a voice, and a length for a video without one: remove the voice, or set the length to 0."
USES_IN_WORDS = (("Blinks and head", EYES_AND_POSE), ("Blinks", EYES), ("Head", POSE), ("Everything", ALL))
_NAMELESS = re.compile(r"^(tmp|audio|image|blob|[0-9a-f]{16,})", re.IGNORECASE)


class Wish(NamedTuple):
    """What is chosen on the page besides the settings: paths of files, seconds without a voice (0: with one)."""

    portrait: str | None
    voice: str | None
    idle_s: float | None
    reference: str | None
    reference_use: str

    @property
    def lack(self) -> str:
        """What must be changed before a video can be made, a sentence; empty where nothing must."""
        if not self.portrait:
            return NO_PORTRAIT
        if self.voice and self.idle_s:
            return VOICE_AND_IDLE
        return "" if self.voice or self.idle_s else NO_VOICE

    def with_uploads(self) -> Wish:
        """The same with files that were uploaded; a MediaError where one was not."""
        given = (self.portrait, self.voice, self.reference)
        portrait, voice, reference = (None if path is None else str(path) for path in map(received_file, given))
        return self._replace(portrait=portrait, voice=voice, reference=reference)

    def inputs(self, with_reference: bool) -> Inputs:
        """The same for the work; a reference counts only where the page shows it."""
        reference = Path(self.reference) if self.reference and with_reference else None
        voice, idle_s = (Path(self.voice), None) if self.voice else (None, self.idle_s)
        return Inputs(Path(self.portrait or ""), voice, idle_s, reference, self.reference_use if reference else "")


class Actions:
    """The actions of one page; nothing about a visitor is kept here but jobs in the workshop."""

    def __init__(self, studio: PageContext) -> None:
        self._studio = studio

    def look(self, portrait: str | None, face: str) -> str:
        """Show the faces of a picture."""
        try:
            path = received_file(portrait)
        except SadTalkerError as e:
            return message(str(e), "error")
        return faces_view(None if path is None else str(path), face)

    def generate(self, ticket: str, *values: Any) -> tuple[str, str]:  # noqa: ANN401 - what the widgets hold
        """Request a video; return the job's id and its HTML view. ``values`` are those of a Wish, then the settings."""
        count = len(Wish._fields)
        try:
            wish = Wish(*values[:count]).with_uploads()
            if wish.lack:
                return "", message(wish.lack, "error")
            settings = settings_of(values[count:])
            state = engine_state(settings.engine, self._studio.checkpoints())
            if not state.ready and all(file.path is None for file in state.checkpoints):
                return "", message(f"{state.message} Open Checkpoints to see which, or choose another engine.", "error")
            output = dated_output(self._studio.results(), stem_of(wish.voice) if wish.voice else "idle")
            inputs = wish.inputs(with_reference=bool(state.references))
            job = self._studio.workshop.submit(
                JobRequest(inputs, output, settings, names=names_of(inputs), job_id=ticket or "")
            )
        except (SadTalkerError, OSError) as e:
            return "", message(str(e), "error")
        return job.id, job_view(job)

    def interrupt(self, job_id: str) -> str:
        """Stop the job of that id; one whose order is still on its way will not begin."""
        if not job_id:
            return message("Nothing is being made.")
        job = self._studio.workshop.cancel_id(job_id)
        if job is None:
            return message(STOPPED_BEFORE_START)
        job.finished.wait(1.0)
        return job_view(job)

    def poll(self, job_id: str, engine: str) -> list[Any]:
        """How the job is now: id, progress, video, details, gallery, name of the result, engine panel."""
        panel = self.panel(engine) if self._studio.download.words else gr.update()
        if not self._studio.download.running:
            self._studio.download.words = ""
        job = self._studio.workshop.find(job_id) if job_id else None
        if job is None:
            gone = message("This job is not known any more; generate again.") if job_id else gr.update()
            return ["", gone, *[gr.update()] * 4, panel]
        if job.state != DONE:
            return ["" if job.ended else job_id, job_view(job), *[gr.update()] * 4, panel]
        return ["", *self._finished(job), panel]

    def refresh(self, engine: str) -> list[Any]:
        """What a page that was just opened shows: a job that is still being made, the gallery, the engine."""
        working = [job for job in self._studio.workshop.jobs() if not job.ended]
        job = working[-1] if working else None
        shown = (job.id, job_view(job)) if job is not None else ("", problems() or gr.update())
        return [*shown, gallery_view(self._studio.results()), self.panel(engine)]

    def show(self, name: str) -> list[Any]:
        """An earlier result: progress, video, details, its name."""
        path = result_named(name, self._studio.results())
        if path is None:
            return [message("This result is not there any more.", "error"), gr.update(), "", ""]
        return ["", str(path), details_view(path), name]

    def send_back(self, name: str) -> list[Any]:
        """The settings of the shown result for all widgets, and a sentence."""
        from sadtalker_ext.pipeline.result_metadata import read_record
        from sadtalker_ext.settings import Settings

        unchanged = [gr.update() for _ in Settings.specs()]
        path = result_named(name, self._studio.results()) if name else None
        if path is None:
            return [*unchanged, message("Make or choose a result first; then its settings can be taken.", "error")]
        try:
            values = values_of(read_record(path).settings)
        except SadTalkerError as e:
            return [*unchanged, message(str(e), "error")]
        return [*values, message("The settings of this result are in the fields now.")]

    def open_folder(self) -> str:
        """Show the folder of the results."""
        folder = self._studio.results()
        return message(open_in_file_manager(folder) if self._studio.local else f"The results are in {folder}")

    def switch(self, engine: str) -> list[Any]:
        """Which parts belong to the chosen engine: its knobs, its checkpoints, the reference and its uses."""
        own = engine == "sadtalker"
        references = engine_state(engine, self._studio.checkpoints()).references
        uses = gr.update(choices=uses_view(references), value=EYES_AND_POSE)
        return [gr.update(visible=own), gr.update(visible=own), gr.update(visible=bool(references)), uses]

    def panel(self, engine: str) -> str:
        """The state of the chosen engine."""
        return panel_view(engine, self._studio.checkpoints(), self._studio.download)

    def check(self, engine: str) -> str:
        """The same, with every file read wholly."""
        return panel_view(engine, self._studio.checkpoints(), self._studio.download, deep=True)

    def fetch(self, engine: str, mirror: str) -> str:
        """Begin to download what the engine lacks, from one of the mirrors by name."""
        if not isinstance(mirror, str) or mirror not in MIRRORS:
            return message(f"Checkpoints are downloaded from {', '.join(MIRRORS)}; choose one of these.", "error")
        folders = self._studio.checkpoints()
        state = engine_state(engine, folders)
        names = [file.name for file in state.checkpoints if file.problem]
        self._studio.download.begin(names, folders[0], mirror)
        return self.panel(engine)

    def stop_fetch(self, engine: str) -> str:
        """End the download."""
        self._studio.download.stop()
        return self.panel(engine)

    def _finished(self, job: Job) -> list[Any]:
        path, folder = job.request.output, self._studio.results()
        if not path.is_file():
            return [message("The video has been removed.", "error"), *[gr.update()] * 4]
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""
        done = message(f"Done: {path.name}")
        return [done, str(path), details_view(path, job.result), gallery_view(folder), name]


def keep(voice: str | None) -> str:
    """The name by which the page can refer to a voice that it has sent."""
    try:
        return kept_name(received_file(voice))
    except SadTalkerError as e:
        raise gr.Error(str(e)) from e


def problems() -> str:
    """What cannot work on this machine, and the remedy; empty where nothing is missing."""
    told = missing_packages()
    return message(" ".join(told), "error") if told else ""


def names_of(inputs: Inputs) -> dict[Path, str]:
    """What the files are called in sentences; where the page keeps uploads helps nobody."""
    given = {"portrait": inputs.portrait, "voice": inputs.voice, "reference": inputs.reference}
    return {path: f"the {name} {path.name}" for name, path in given.items() if path is not None}


def uses_view(references: Sequence[str]) -> list[tuple[str, str]]:
    """The uses of a reference that an engine has, in words."""
    return [(words, use) for words, use in USES_IN_WORDS if use in references]


def stem_of(voice: str) -> str:
    """A name for the video after the voice's file; a made-up name of an upload is no name."""
    stem = Path(voice).stem
    return "talking" if _NAMELESS.match(stem) else stem
