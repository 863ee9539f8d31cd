"""Event handlers of the inputs and of the job; errors are shown as messages, never as tracebacks."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, Final, NamedTuple

import gradio as gr

from sadtalker_ext.assets import demo_portrait, example_voice
from sadtalker_ext.engines.registry import engine_state
from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.pipeline.environment import missing_packages
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.job import DONE, WAITING, Job, JobRequest
from sadtalker_ext.pipeline.job_queue import STOPPED_BEFORE_START
from sadtalker_ext.pipeline.output import dated_output
from sadtalker_ext.setting_spec import AUTO_MOMENT, LARGEST_FACE
from sadtalker_ext.settings import Settings
from sadtalker_ext.tts.text_parts import clean_text
from sadtalker_ext.tts.voices import list_voices
from sadtalker_ext.webui.engine_actions import EngineActions
from sadtalker_ext.webui.face_picker import faces_view
from sadtalker_ext.webui.html import job_view, message, problem
from sadtalker_ext.webui.input_fields import MICROPHONE, NO_READING_VOICE, SILENT, TEXT, UPLOAD
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.page_words import page_text
from sadtalker_ext.webui.result_actions import ResultActions, as_text
from sadtalker_ext.webui.results import details_view, gallery_view
from sadtalker_ext.webui.setting_widgets import settings_from_values
from sadtalker_ext.webui.uploads import display_names, has_generated_name, received_file, relative_name, upload_folder
from sadtalker_ext.webui.voice_note import voice_note

NO_PORTRAIT: Final = "Choose a portrait first: drop a picture into its field, or try the example."
NO_VOICE: Final[dict[str, str]] = {
    UPLOAD: "Choose a voice first: drop an audio file into its field, or try the example.",
    MICROPHONE: "Record a voice first: press Record, speak, then press Stop.",
    TEXT: "Write a text first; it is read aloud.",
    SILENT: "Set the length of the silent video first.",
}
"""What is missing, by the tab of the voice."""
GONE_JOB: Final = "The server was restarted, and this video was lost. Press Generate again."
NO_NETWORKS: Final = "The SadTalker networks are not installed yet. Download them under Engine, or choose Starter."
UNNAMED_RECORDING: Final = "talking"
"""Stem of the video of a voice whose file name was generated."""
CANCEL_WAIT_S: Final = 1.0
"""How long Interrupt waits for the job to end, so that it can usually show the final state."""


class JobForm(NamedTuple):
    """Values of the page's inputs besides the settings: paths of files, and the length of a silent video in seconds.

    source: the tab of the voice; what other tabs contain is not used.
    """

    portrait: str | None
    voice: str | None
    idle_s: float | None
    reference: str | None
    reference_use: str
    text: str = ""
    source: str = UPLOAD

    @property
    def problem(self) -> str:
        """A sentence that says what the user must change before a video can be made; empty if nothing."""
        if not self.portrait:
            return NO_PORTRAIT
        given = {TEXT: self.spoken_text, SILENT: self.silent_s}.get(self.source, self.voice)
        return "" if given else NO_VOICE.get(self.source, NO_VOICE[UPLOAD])

    @property
    def spoken_text(self) -> str | None:
        """The text to read aloud, or None; SettingsError if it has no words or is too long."""
        if self.source != TEXT:
            return None
        return clean_text(self.text) if isinstance(self.text, str) and self.text.strip() else None

    @property
    def silent_s(self) -> float | None:
        """The length of the silent video, or None if the video is not silent."""
        return self.idle_s if self.source == SILENT else None

    def with_uploads(self) -> JobForm:
        """Return the form with resolved paths of uploaded files; MediaError if a file was not uploaded."""
        source = self.source if isinstance(self.source, str) and self.source in NO_VOICE else UPLOAD
        uses_sound = source in (UPLOAD, MICROPHONE)
        files = (self.portrait, self.voice if uses_sound else None, self.reference)
        portrait, voice, reference = (None if path is None else str(path) for path in map(received_file, files))
        return self._replace(portrait=portrait, voice=voice, reference=reference, source=source)

    def inputs(self, with_reference: bool) -> Inputs:
        """Return the inputs of the video; the reference is used only if ``with_reference``."""
        reference = Path(self.reference) if self.reference and with_reference else None
        voice = Path(self.voice) if self.voice and self.source in (UPLOAD, MICROPHONE) else None
        use = self.reference_use if reference else ""
        return Inputs(Path(self.portrait or ""), voice, self.silent_s, reference, use, self.spoken_text)


class PageActions(EngineActions, ResultActions):
    """Event handlers of one page. All users of the page share the jobs in the queue; nothing else is stored."""

    def __init__(self, context: PageContext) -> None:
        super().__init__(context)

    def show_faces(self, portrait: Any) -> tuple[str, str, str]:  # noqa: ANN401 - a value of a request
        """Return the picture with its faces, and the face and moment that are chosen, which a new picture resets."""
        return self.show_moment(portrait, AUTO_MOMENT), LARGEST_FACE, AUTO_MOMENT

    def show_moment(self, portrait: Any, at: Any) -> str:  # noqa: ANN401 - values of a request
        """Return a picture, or the frame of a video at a moment, with its faces."""
        try:
            return faces_view(received_file(portrait), Settings(at=at).at)
        except SadTalkerError as e:
            return message(page_text(str(e)), "error")

    def check_voice(self, voice: Any) -> str:  # noqa: ANN401 - a value of a request
        """Return the length of a voice, or why it cannot be used."""
        try:
            return voice_note(received_file(voice))
        except SadTalkerError as e:
            return message(page_text(str(e)), "error")

    def use_voice(self, name: Any) -> Any:  # noqa: ANN401 - a value of a request, an update of a component
        """Return the path of a voice that the page's script uploaded, for the field of the voice."""
        try:
            path = received_file(as_text(name))
        except SadTalkerError as e:
            raise gr.Error(page_text(str(e))) from e
        return gr.update() if path is None else str(path)

    def use_example(self) -> list[Any]:
        """Return the example's portrait and voice, which ship with the package, and the tab of the voice."""
        return [*(str(_upload_copy(path)) for path in (demo_portrait(), example_voice())), UPLOAD]

    def generate(self, job_id: Any, *values: Any) -> tuple[str, str]:  # noqa: ANN401 - values of the widgets
        """Queue a job; return its id and view.

        job_id: id chosen by the page's script, or empty. values: the fields of :class:`JobForm`, then the settings.
        """
        field_count = len(JobForm._fields)
        inputs = None
        try:
            form = JobForm(*values[:field_count]).with_uploads()
            if form.source == TEXT and not list_voices(self._context.checkpoint_folders()):
                return "", problem(NO_READING_VOICE)
            if form.problem:
                return "", problem(form.problem)
            settings = settings_from_values(values[field_count:])
            state = engine_state(settings.engine, self._context.checkpoint_folders())
            if not state.ready and all(file.path is None for file in state.checkpoints):
                return "", problem(NO_NETWORKS)
            inputs = form.inputs(with_reference=bool(state.references))
            output = dated_output(self._context.results_folder(), output_stem(inputs))
            request = JobRequest(inputs, output, settings, names=display_names(inputs), job_id=as_text(job_id))
            job = self._context.queue.submit(request)
        except SadTalkerError as e:
            return "", problem(page_text(e.describe(display_names(inputs) if inputs else {})))
        except OSError as e:
            return "", problem(page_text(str(e)))
        return job.id, self._job_view(job)

    def interrupt(self, job_id: Any) -> str:  # noqa: ANN401 - a value of a request
        """Stop a job; if its request has not arrived yet, it will not start."""
        if not as_text(job_id):
            return message("No video is being made.")
        job = self._context.queue.cancel_id(job_id)
        if job is None:
            return message(STOPPED_BEFORE_START)
        job.finished.wait(CANCEL_WAIT_S)
        return self._job_view(job)

    def poll(self, job_id: Any, engine: Any) -> list[Any]:  # noqa: ANN401 - values of a request
        """Return the state of a job: id, progress, two videos, details, gallery, name of the result, engine panel."""
        download = self._context.download
        panel = self.engine_panel(engine) if download.text else [gr.update()] * 4
        if not download.running:
            download.text = ""
        job = self._context.queue.find(as_text(job_id))
        if job is None:
            gone = problem(GONE_JOB) if job_id else gr.update()
            return ["", gone, *[gr.update()] * 5, *panel]
        if job.state != DONE:
            return ["" if job.ended else job_id, self._job_view(job), *[gr.update()] * 5, *panel]
        return ["", *self._finished_job(job), *panel]

    def refresh(self, engine: Any) -> list[Any]:  # noqa: ANN401 - a value of a request
        """Return what a page shows when it opens: id and progress of an active job, the gallery, the engine panel."""
        active = [job for job in self._context.queue.jobs() if not job.ended]
        job = active[-1] if active else None
        progress = (job.id, self._job_view(job)) if job else (gr.update(), missing_packages_view() or gr.update())
        gallery = gallery_view(self._context.results_folder(), self._context.local)
        return [*progress, gallery, *self.engine_panel(engine)]

    def _job_view(self, job: Job) -> str:
        """Return the view of a job, with the number of jobs before it if it waits."""
        before = self._context.queue.jobs() if job.state == WAITING else []
        place = before.index(job) if job in before else 0
        return job_view(job, sum(not other.ended for other in before[:place]))

    def _finished_job(self, job: Job) -> list[Any]:
        path, folder = job.request.output, self._context.results_folder()
        if not path.is_file():
            return [message("The video has been removed.", "error"), *[gr.update()] * 5]
        name = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else ""
        gallery = gallery_view(folder, self._context.local)
        return ["", str(path), None, details_view(path, job.result), gallery, name]


def _upload_copy(path: Path) -> Path:
    """Return a copy of a file of the package in the upload folder, which is where requests may name files."""
    target = upload_folder() / "example" / path.name
    if not target.is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    return target


def store_upload(voice: str | None) -> str:
    """Save an uploaded voice; return the name by which the page can refer to it."""
    try:
        return relative_name(received_file(voice))
    except SadTalkerError as e:
        raise gr.Error(page_text(str(e))) from e


def missing_packages_view() -> str:
    """Return a message about missing packages and the remedy; empty if none is missing."""
    sentences = missing_packages()
    return message(" ".join(sentences), "error") if sentences else ""


def output_stem(inputs: Inputs) -> str:
    """Return the start of the video's file name: of the text, or of the voice unless its name was generated."""
    if inputs.text is not None:
        from sadtalker_ext.pipeline.batch import text_stem

        return text_stem(inputs.text)
    if inputs.voice is None:
        return "silent"
    return UNNAMED_RECORDING if has_generated_name(inputs.voice) else inputs.voice.stem
