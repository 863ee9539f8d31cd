"""Event handlers of the page; errors are shown as messages, never as tracebacks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import gradio as gr

from sadtalker_ext.engines.registry import engine_names, engine_state
from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.pipeline.batch import text_stem
from sadtalker_ext.pipeline.environment import missing_packages
from sadtalker_ext.pipeline.inputs import ALL, EYES, EYES_AND_POSE, POSE, Inputs
from sadtalker_ext.pipeline.job import DONE, Job, JobRequest
from sadtalker_ext.pipeline.job_queue import STOPPED_BEFORE_START
from sadtalker_ext.pipeline.output import dated_output
from sadtalker_ext.tts.text_parts import clean_text
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui.engine_panel import panel_view
from sadtalker_ext.webui.face_picker import faces_view
from sadtalker_ext.webui.html import job_view, message
from sadtalker_ext.webui.page_context import PageContext, open_in_file_manager
from sadtalker_ext.webui.results import details_view, find_result, gallery_view
from sadtalker_ext.webui.setting_widgets import engine_specific, settings_from_values, widget_values
from sadtalker_ext.webui.uploads import display_names, has_generated_name, received_file, relative_name
from sadtalker_ext.weights.catalog import MIRRORS

NO_PORTRAIT: Final = "Choose a portrait first: drop a picture into the Portrait field."
NO_VOICE: Final = (
    "Choose a voice first: drop an audio file into the Voice field, record one, or write a text. For a video without "
    "speech, set its length under Silent video."
)
VOICE_AND_TEXT: Final = "The text is read aloud instead of a voice; remove the voice, or clear the text."
VOICE_AND_IDLE: Final = "A silent video has no speech; remove voice and text, or set its length to 0."
REFERENCE_USES: Final = (
    ("Blinks and head motion", EYES_AND_POSE), ("Blinks", EYES), ("Head motion", POSE), ("Everything", ALL),
)  # fmt: skip
"""Label and value of what can be copied from a reference video."""
UNNAMED_RECORDING: Final = "talking"
"""Stem of the video of a voice whose file name was generated."""
CANCEL_WAIT_S: Final = 1.0
"""How long Interrupt waits for the job to end, so that it can usually show the final state."""


class JobForm(NamedTuple):
    """Values of the page's inputs besides the settings: paths of files, and the length of a silent video in seconds."""

    portrait: str | None
    voice: str | None
    idle_s: float | None
    reference: str | None
    reference_use: str
    text: str = ""

    @property
    def problem(self) -> str:
        """A sentence that says what the user must change before a video can be made; empty if nothing."""
        if not self.portrait:
            return NO_PORTRAIT
        if self.voice and self.spoken_text:
            return VOICE_AND_TEXT
        if (self.voice or self.spoken_text) and self.idle_s:
            return VOICE_AND_IDLE
        return "" if self.voice or self.spoken_text or self.idle_s else NO_VOICE

    @property
    def spoken_text(self) -> str | None:
        """The text to read aloud, or None; SettingsError if it has no words or is too long."""
        return clean_text(self.text) if isinstance(self.text, str) and self.text.strip() else None

    def with_uploads(self) -> JobForm:
        """Return the form with resolved paths of uploaded files; MediaError if a file was not uploaded."""
        files = (self.portrait, self.voice, self.reference)
        portrait, voice, reference = (None if path is None else str(path) for path in map(received_file, files))
        return self._replace(portrait=portrait, voice=voice, reference=reference)

    def inputs(self, with_reference: bool) -> Inputs:
        """Return the inputs of the video; the reference is used only if ``with_reference``."""
        reference = Path(self.reference) if self.reference and with_reference else None
        voice, text = Path(self.voice) if self.voice else None, self.spoken_text
        idle_s = None if voice or text else self.idle_s
        use = self.reference_use if reference else ""
        return Inputs(Path(self.portrait or ""), voice, idle_s, reference, use, text)


class PageActions:
    """Event handlers of one page. All users of the page share the jobs in the queue; nothing else is stored."""

    def __init__(self, context: PageContext) -> None:
        self._context = context

    def show_faces(self, portrait: str | None, face: str) -> str:
        """Return the picture with its faces."""
        try:
            return faces_view(received_file(portrait), _text(face))
        except SadTalkerError as e:
            return message(str(e), "error")

    def generate(self, job_id: str, *values: Any) -> tuple[str, str]:  # noqa: ANN401 - values of the widgets
        """Queue a job; return its id and view.

        job_id: id chosen by the page's script, or empty. values: the fields of :class:`JobForm`, then the settings.
        """
        field_count = len(JobForm._fields)
        inputs = None
        try:
            form = JobForm(*values[:field_count]).with_uploads()
            if form.problem:
                return "", message(form.problem, "error")
            settings = settings_from_values(values[field_count:])
            state = engine_state(settings.engine, self._context.checkpoint_folders())
            if not state.ready and all(file.path is None for file in state.checkpoints):
                text = f"{state.message} Open Checkpoints to see which files are missing, or choose another engine."
                return "", message(text, "error")
            inputs = form.inputs(with_reference=bool(state.references))
            output = dated_output(self._context.results_folder(), output_stem(inputs))
            request = JobRequest(inputs, output, settings, names=display_names(inputs), job_id=_text(job_id))
            job = self._context.queue.submit(request)
        except SadTalkerError as e:
            return "", message(e.describe(display_names(inputs) if inputs else {}), "error")
        except OSError as e:
            return "", message(str(e), "error")
        return job.id, job_view(job)

    def interrupt(self, job_id: str) -> str:
        """Stop a job; if its request has not arrived yet, it will not start."""
        if not _text(job_id):
            return message("No video is being made.")
        job = self._context.queue.cancel_id(job_id)
        if job is None:
            return message(STOPPED_BEFORE_START)
        job.finished.wait(CANCEL_WAIT_S)
        return job_view(job)

    def poll(self, job_id: str, engine: str) -> list[Any]:
        """Return the state of a job: id, progress, video, details, gallery, name of the result, engine panel."""
        download = self._context.download
        panel = self.engine_panel(engine) if download.text else gr.update()
        if not download.running:
            download.text = ""
        job = self._context.queue.find(_text(job_id))
        if job is None:
            gone = message("This job no longer exists; press Generate again.") if job_id else gr.update()
            return ["", gone, *[gr.update()] * 4, panel]
        if job.state != DONE:
            return ["" if job.ended else job_id, job_view(job), *[gr.update()] * 4, panel]
        return ["", *self._finished_job(job), panel]

    def refresh(self, engine: str) -> list[Any]:
        """Return what a page shows when it opens: id and progress of an active job, the gallery, the engine panel."""
        active = [job for job in self._context.queue.jobs() if not job.ended]
        job = active[-1] if active else None
        progress = (job.id, job_view(job)) if job is not None else ("", missing_packages_view() or gr.update())
        return [*progress, gallery_view(self._context.results_folder()), self.engine_panel(engine)]

    def show_result(self, name: str) -> list[Any]:
        """Return an earlier result: progress, video, details, name."""
        path = find_result(_text(name), self._context.results_folder())
        if path is None:
            return [message("This result no longer exists.", "error"), gr.update(), "", ""]
        return ["", str(path), details_view(path), name]

    def reuse_settings(self, name: str) -> list[Any]:
        """Return the settings of a result for all widgets, and a message."""
        from sadtalker_ext.pipeline.result_metadata import read_record

        unchanged = [gr.update() for _ in Settings.specs()]
        path = find_result(_text(name), self._context.results_folder()) if name else None
        if path is None:
            return [*unchanged, message("Make or choose a result first, then press Reuse settings.", "error")]
        try:
            values = widget_values(read_record(path).settings)
        except SadTalkerError as e:
            return [*unchanged, message(e.describe({path: path.name}), "error")]
        return [*values, message("The fields now show the settings of this result.")]

    def open_folder(self) -> str:
        """Open the folder of the results, or say where it is."""
        folder = self._context.results_folder()
        return message(open_in_file_manager(folder) if self._context.local else f"The results are in {folder}")

    def select_engine(self, engine: str) -> list[Any]:
        """Return the visible parts for an engine: groups of its settings, checkpoints, reference, reference uses."""
        engine = _engine(engine)
        state = engine_state(engine, self._context.checkpoint_folders())
        groups = [gr.update(visible=engine in engines) for engines in engine_specific()]
        uses = gr.update(choices=reference_use_choices(state.references), value=EYES_AND_POSE)
        return [*groups, gr.update(visible=bool(state.checkpoints)), gr.update(visible=bool(state.references)), uses]

    def engine_panel(self, engine: str) -> str:
        """Return the state of an engine and its checkpoints."""
        return panel_view(_engine(engine), self._context.checkpoint_folders(), self._context.download)

    def verify_checkpoints(self, engine: str) -> str:
        """Return the same after reading every checkpoint completely."""
        return panel_view(_engine(engine), self._context.checkpoint_folders(), self._context.download, deep=True)

    def start_download(self, engine: str, mirror: str) -> str:
        """Start to download the missing checkpoints of an engine from the mirror of this name."""
        if not isinstance(mirror, str) or mirror not in MIRRORS:
            return message(f"Checkpoints can be downloaded from {', '.join(MIRRORS)}; choose one of these.", "error")
        folders = self._context.checkpoint_folders()
        state = engine_state(_engine(engine), folders)
        names = [file.name for file in state.checkpoints if file.problem]
        self._context.download.start(names, folders[0], mirror)
        return self.engine_panel(engine)

    def stop_download(self, engine: str) -> str:
        """Stop the download."""
        self._context.download.stop()
        return self.engine_panel(engine)

    def _finished_job(self, job: Job) -> list[Any]:
        path, folder = job.request.output, self._context.results_folder()
        if not path.is_file():
            return [message("The video has been removed.", "error"), *[gr.update()] * 4]
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""
        return [message(f"Done: {path.name}"), str(path), details_view(path, job.result), gallery_view(folder), name]


def _text(value: Any) -> str:  # noqa: ANN401 - a value of a request
    """Return a text of a request; requests that the page does not send may have any JSON value in its place."""
    return value if isinstance(value, str) else ""


def _engine(value: Any) -> str:  # noqa: ANN401 - a value of a request
    """Return the name of an engine in a request; that of the default engine if there is none of this name."""
    return value if value in engine_names() else Settings().engine


def store_upload(voice: str | None) -> str:
    """Save an uploaded voice; return the name by which the page can refer to it."""
    try:
        return relative_name(received_file(voice))
    except SadTalkerError as e:
        raise gr.Error(str(e)) from e


def missing_packages_view() -> str:
    """Return a message about missing packages and the remedy; empty if none is missing."""
    sentences = missing_packages()
    return message(" ".join(sentences), "error") if sentences else ""


def reference_use_choices(references: Sequence[str]) -> list[tuple[str, str]]:
    """Return label and value of those uses of a reference that an engine supports."""
    return [(label, use) for label, use in REFERENCE_USES if use in references]


def output_stem(inputs: Inputs) -> str:
    """Return the start of the video's file name: of the text, or of the voice unless its name was generated."""
    if inputs.text is not None:
        return text_stem(inputs.text)
    if inputs.voice is None:
        return "idle"
    return UNNAMED_RECORDING if has_generated_name(inputs.voice) else inputs.voice.stem
