"""The extension inside stable-diffusion-webui; the only module that imports the webui's own modules."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import gradio as gr
from modules import call_queue, devices, paths_internal, script_callbacks, scripts, sd_models, shared
from modules import progress as host_progress
from modules.ui_components import InputAccordion, ToolButton

from sadtalker_ext.engines.registry import setting_spec
from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.job import Host, Job, JobRequest
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.pipeline.output import dated_output
from sadtalker_ext.pipeline.progress import Progress
from sadtalker_ext.runtime import AUTO, Runtime
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui.compat_inputs import audio_input
from sadtalker_ext.webui.compat_memory import find_model_unloader
from sadtalker_ext.webui.host_access import allowed_hosts, is_remote, split_list
from sadtalker_ext.webui.host_axes import add_axes, axis_values
from sadtalker_ext.webui.host_restorers import register_host_restorers
from sadtalker_ext.webui.host_send_buttons import SendButtons
from sadtalker_ext.webui.html import message, stage_text
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.setting_widgets import COMMON, make_widget, read_settings
from sadtalker_ext.webui.tab import build_tab
from sadtalker_ext.webui.uploads import display_names, received_file
from sadtalker_ext.weights.files import search_folders

try:
    from modules import infotext_utils
except ImportError:  # before 1.9
    from modules import generation_parameters_copypaste as infotext_utils

log = logging.getLogger(__name__)
TITLE: Final = "SadTalker"
TAB: Final = "sadtalker"
SECTION: Final = ("sadtalker", TITLE)
SCRIPT_SETTINGS: Final = ("engine", *COMMON)
"""Settings of the script that animates every result."""


class RestApi(NamedTuple):
    """The REST API, passed in by the extension's script because front ends do not import each other."""

    prefix: str
    make_router: Callable[..., Any]
    options: Callable[..., Any]
    read_logins: Callable[[str], dict[str, str]]


class WebuiHost(Host):
    """Runs jobs in turn with the webui's own, on its device, with its progress display and Interrupt button."""

    def runtime(self, settings: Settings) -> Runtime:
        """Return the webui's device, or that of ``--sadtalker-device``."""
        device = getattr(shared.cmd_opts, "sadtalker_device", None) or str(devices.get_device_for(TAB) or AUTO)
        return Runtime(device=device, folders=checkpoint_folders())

    @contextmanager
    def exclusive(self, job: Job) -> Iterator[None]:
        """Hold the webui's queue for the block; the image model may be off the GPU meanwhile."""
        with call_queue.queue_lock:
            shared.state.begin(job=job.id)
            shared.state.job_count = 1
            host_progress.start_task(job.id)
            try:
                with image_model_unloaded():
                    yield
            finally:
                shared.state.end()
                shared.state.textinfo = None

    def job_queued(self, job: Job) -> None:
        """Add the job to the webui's waiting tasks, which its page counts."""
        host_progress.add_task_to_queue(job.id)

    def job_ended(self, job: Job) -> None:
        """Add the job to the webui's finished tasks, which ends its progress bar."""
        host_progress.pending_tasks.pop(job.id, None)
        host_progress.finish_task(job.id)

    def keeps_engine(self) -> bool:
        """Whether the user wants the engine to stay in memory."""
        return bool(option("keep_engine"))

    def report(self, progress: Progress) -> None:
        """Show progress in the webui's progress bar."""
        shared.state.textinfo = stage_text(progress)
        shared.state.sampling_steps, shared.state.sampling_step = max(1, progress.total), progress.done

    def interrupted(self) -> bool:
        """Whether the webui's Interrupt was pressed."""
        return bool(shared.state.interrupted)


@contextmanager
def image_model_unloaded() -> Iterator[None]:
    """Keep the image model off the GPU for the block, if the user wants that and a model is loaded."""
    reload = unload_image_model() if option("move_model") else None
    try:
        yield
    finally:
        if reload is not None:
            reload()


def unload_image_model() -> Callable[[], object] | None:
    """Move the image model off the GPU; return a function that moves it back, or None if that is not needed."""
    if (unload := find_model_unloader()) is not None:
        unload()
        return None
    model = getattr(getattr(sd_models, "model_data", None), "sd_model", None)
    if model is None or not hasattr(sd_models, "send_model_to_cpu"):
        return None
    sd_models.send_model_to_cpu(model)
    return partial(sd_models.send_model_to_device, model)


class HostOption(NamedTuple):
    """An option of the extension on the webui's settings page."""

    default: object
    label: str


OPTIONS: Final = {
    "output": HostOption("", "Output folder of videos (empty: outputs/SadTalker in the webui's data folder)"),
    "checkpoints": HostOption("", "Checkpoint folder (empty: SadTalker in the webui's models folder)"),
    "keep_engine": HostOption(True, "Keep the engine in memory between videos"),
    "move_model": HostOption(False, "Move the image model off the GPU while a video is made"),
    "api_folders": HostOption("", "Folders whose files API requests may name (separated by commas)"),
    "api_urls": HostOption(False, "Let API requests name public URLs from which files are downloaded"),
    "api_hosts": HostOption("", "Host names accepted in API requests (separated by commas; localhost is always one)"),
}


def option(name: str) -> Any:  # noqa: ANN401 - text or bool
    """Return the value of an option; its default while the webui has no options yet."""
    return getattr(shared.opts, f"sadtalker_{name}", OPTIONS[name].default)


def add_options() -> None:
    """Add the extension's section to the webui's settings page."""
    for name, declared in OPTIONS.items():
        info = shared.OptionInfo(declared.default, declared.label, section=SECTION)
        shared.opts.add_option(f"sadtalker_{name}", info)


def results_folder() -> Path:
    """Return the folder of the videos."""
    return Path(option("output") or Path(paths_internal.data_path, "outputs", TITLE)).resolve()


def checkpoint_folders() -> tuple[Path, ...]:
    """Return the folders that are searched for checkpoints; downloads go to the first."""
    flag = getattr(shared.cmd_opts, "sadtalker_dir", None)
    chosen = [Path(text) for text in (flag, option("checkpoints")) if text]
    default = Path(paths_internal.models_path, TITLE)
    return search_folders(chosen or [default], default)


class Extension:
    """The extension, from loading its script until Reload UI."""

    def __init__(self, rest_api: RestApi) -> None:
        self._rest_api = rest_api
        self.queue = JobQueue(WebuiHost())
        self._send_buttons = SendButtons(infotext_utils, ToolButton)

    def tabs(self) -> list[tuple[Any, str, str]]:
        """Return the tab, with an error message if it cannot be built, because the webui needs the target input."""
        try:
            restorers = register_host_restorers(shared.face_restorers, shared.sd_upscalers)
            context = PageContext(self.queue, results_folder, checkpoint_folders, restorers, local=is_local())
            with gr.Blocks(analytics_enabled=False) as page:
                portrait = build_tab(context).portrait
                self._send_buttons.set_target(portrait)
        except Exception as e:  # an error in the extension must not keep the webui from starting
            log.exception("The SadTalker tab could not be built")
            with gr.Blocks(analytics_enabled=False) as page:
                gr.HTML(message(f"The SadTalker tab could not be built: {e}. The log has the details.", "error"))
                with gr.Row(visible=False):
                    self._send_buttons.set_target(gr.Image(type="filepath"))
        return [(page, TITLE, TAB)]

    def after_component(self, component: Any, **options: Any) -> None:  # noqa: ANN401 - the webui's callback
        """Add the send buttons while the webui builds its page."""
        self._send_buttons.after_component(component, **options)

    def app_started(self, _page: Any, app: Any) -> None:  # noqa: ANN401 - Gradio's Blocks or None, FastAPI's app
        """Add the REST routes if the webui serves its own API; once per app."""
        flags = shared.cmd_opts
        if not (getattr(flags, "api", False) or getattr(flags, "nowebui", False)):
            return
        if any(getattr(route, "path", "").startswith(self._rest_api.prefix) for route in app.routes):
            return
        options = self._rest_api.options(
            folders=(results_folder(), *api_folders()), urls=bool(option("api_urls")),
            checkpoints=checkpoint_folders(), allowed=allowed_hosts(flags, option("api_hosts")),
            output=lambda stem: dated_output(results_folder(), stem),
            logins=self._rest_api.read_logins(getattr(flags, "api_auth", None) or ""),
        )  # fmt: skip
        app.include_router(self._rest_api.make_router(self.queue, options))

    def unload(self) -> None:
        """Stop all jobs before Reload UI; the reloaded script has a new queue."""
        self.queue.close()


def register(rest_api: RestApi) -> Extension:
    """Register the extension's callbacks; called each time the webui loads the script."""
    extension = Extension(rest_api)
    AnimateResults.queue = extension.queue
    script_callbacks.on_ui_tabs(extension.tabs)
    script_callbacks.on_ui_settings(add_options)
    script_callbacks.on_after_component(extension.after_component)
    script_callbacks.on_app_started(extension.app_started)
    script_callbacks.on_before_ui(lambda: add_axes(scripts.scripts_data))
    script_callbacks.on_script_unloaded(extension.unload)
    return extension


def is_local() -> bool:
    """Whether only browsers on this machine can open the page."""
    return not is_remote(shared.cmd_opts) and not getattr(shared.cmd_opts, "hide_ui_dir_config", False)


def api_folders() -> tuple[Path, ...]:
    """Return the folders whose files API requests may name."""
    return tuple(map(Path, split_list(option("api_folders"))))


class AnimateResults(scripts.Script):  # type: ignore[misc] # the webui's class
    """Script that makes a video of every image of a generation."""

    queue: JobQueue

    def title(self) -> str:
        """Return the name of the script."""
        return "SadTalker: animate each result"

    def show(self, is_img2img: bool) -> Any:  # noqa: ANN401 - the webui's own
        """Show the script always, in txt2img and img2img."""
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """Return a checkbox that enables the script, a voice, and the most common settings."""
        with InputAccordion(False, label=self.title(), elem_id=self.elem_id("enable")) as enabled:
            voice = audio_input(self.elem_id("voice"))
            settings = [make_widget(setting_spec(name), elem_id=self.elem_id(name)) for name in SCRIPT_SETTINGS]
        return [enabled, voice, *settings]

    def postprocess(self, p: Any, processed: Any, enabled: bool = False, *values: Any) -> None:  # noqa: ANN401
        """Animate the images; the webui calls this while its queue is held."""
        if not enabled:
            return
        uploaded, chosen = (values[0], values[1:]) if values else (None, ())
        try:
            voice = received_file(uploaded, api_folders())
            if voice is None:
                raise SadTalkerError("SadTalker needs a voice; choose one in its section of this page")
            settings = read_settings({**dict(zip(SCRIPT_SETTINGS, chosen, strict=False)), **axis_values(p)})
            comments = [f"SadTalker saved {path}" for path in animate_all(self.queue, processed, voice, settings)]
        except SadTalkerError as e:
            comments = [str(e)]
        processed.comments = "\n".join(filter(None, [getattr(processed, "comments", ""), *comments]))


def animate_all(queue: JobQueue, processed: Any, voice: Path, settings: Settings) -> Iterator[Path]:  # noqa: ANN401
    """Make a video of each image of a generation except the grid, while the webui's queue is held; yield the paths."""
    scratch = Path(tempfile.mkdtemp(prefix="sadtalker_script_"))
    try:
        for index, image in enumerate(processed.images[processed.index_of_first_image :]):
            portrait = scratch / f"{index}.png"
            image.convert("RGB").save(portrait)
            seeds = getattr(processed, "all_seeds", None) or [0]
            output = dated_output(results_folder(), f"{voice.stem[:20]}_{seeds[min(index, len(seeds) - 1)]}")
            inputs = Inputs(portrait, voice)
            names = {**display_names(inputs), portrait: f"{index + 1}"}
            try:
                yield queue.run_now(Job(JobRequest(inputs, output, settings, names=names))).path
            except SadTalkerError as e:
                raise SadTalkerError(e.describe(names)) from e
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(AttributeError):
            shared.state.textinfo = None
