"""The host's side: everything that needs stable-diffusion-webui's own modules, and nothing else does."""

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
from sadtalker_ext.webui.compat_inputs import sound_input
from sadtalker_ext.webui.compat_memory import unloader
from sadtalker_ext.webui.host_access import allowed_hosts, is_remote, listed
from sadtalker_ext.webui.host_axes import add_axes, wishes
from sadtalker_ext.webui.host_restorers import register_all
from sadtalker_ext.webui.host_sending import Sending
from sadtalker_ext.webui.html import message, stage_words
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.setting_widgets import COMMON, make_widget
from sadtalker_ext.webui.tab import build_tab
from sadtalker_ext.webui.uploads import received_file
from sadtalker_ext.weights.files import search_folders

try:
    from modules import infotext_utils
except ImportError:  # before 1.9
    from modules import generation_parameters_copypaste as infotext_utils

log = logging.getLogger(__name__)
TITLE: Final = "SadTalker"
TAB: Final = "sadtalker"
SECTION: Final = ("sadtalker", TITLE)
IN_SCRIPT: Final = ("engine", *COMMON)


class Rest(NamedTuple):
    """The REST interface, handed in by the script of the extension: faces do not import each other."""

    prefix: str
    make_router: Callable[..., Any]
    doors: Callable[..., Any]
    read_logins: Callable[[str], dict[str, str]]


class WebuiHost(Host):
    """Works only while the host does not, on the host's device, and shows in the host's progress."""

    def runtime(self, settings: Settings) -> Runtime:
        """The host's device, or that of ``--sadtalker-device``."""
        wanted = getattr(shared.cmd_opts, "sadtalker_device", None) or str(devices.get_device_for(TAB) or AUTO)
        return Runtime(device=wanted, folders=checkpoint_folders())

    @contextmanager
    def turn(self, job: Job) -> Iterator[None]:
        """Wait for the host's queue and hold it; the image model may make room meanwhile."""
        with call_queue.queue_lock:
            shared.state.begin(job=job.id)
            shared.state.job_count = 1
            host_progress.start_task(job.id)
            try:
                with image_model_aside():
                    yield
            finally:
                shared.state.end()
                shared.state.textinfo = None

    def expect(self, job: Job) -> None:
        """Among the host's waiting tasks, whose number the page shows."""
        host_progress.add_task_to_queue(job.id)

    def dismiss(self, job: Job) -> None:
        """The host's page ends its progress bar when the task is among the finished ones."""
        host_progress.pending_tasks.pop(job.id, None)
        host_progress.finish_task(job.id)

    def keeps_engine(self) -> bool:
        """As the person set it."""
        return bool(option("keep_engine"))

    def report(self, progress: Progress) -> None:
        """Into the host's progress bar."""
        shared.state.textinfo = stage_words(progress)
        shared.state.sampling_steps, shared.state.sampling_step = max(1, progress.total), progress.done

    def interrupted(self) -> bool:
        """Whether the host's Interrupt was pressed."""
        return bool(shared.state.interrupted)


@contextmanager
def image_model_aside() -> Iterator[None]:
    """While inside, the image model is off the graphics card, if the person wants that and one is loaded."""
    bring_back = put_image_model_aside() if option("move_model") else None
    try:
        yield
    finally:
        if bring_back is not None:
            bring_back()


def put_image_model_aside() -> Callable[[], object] | None:
    """Take the image model off the graphics card; what brings it back, None where nothing need."""
    if (unload := unloader()) is not None:
        unload()
        return None
    model = getattr(getattr(sd_models, "model_data", None), "sd_model", None)
    if model is None or not hasattr(sd_models, "send_model_to_cpu"):
        return None
    sd_models.send_model_to_cpu(model)
    return partial(sd_models.send_model_to_device, model)


class HostOption(NamedTuple):
    """One of the host's settings that is ours."""

    default: object
    label: str


OPTIONS: Final = {
    "output": HostOption("", "Folder of the videos (empty: outputs/SadTalker of the webui)"),
    "checkpoints": HostOption("", "Folder of the checkpoints (empty: models/SadTalker of the webui)"),
    "keep_engine": HostOption(True, "Keep SadTalker's engine in memory between videos"),
    "move_model": HostOption(False, "Move the image model off the graphics card while a video is made"),
    "api_folders": HostOption("", "Folders whose files API requests may name, with commas"),
    "api_urls": HostOption(False, "Let API requests name public addresses to fetch files from"),
    "api_hosts": HostOption("", "Names under which API requests reach this webui, with commas (localhost always does)"),
}


def option(name: str) -> Any:  # noqa: ANN401 - text or switch
    """One of our settings; its default while the host has none yet."""
    return getattr(shared.opts, f"sadtalker_{name}", OPTIONS[name].default)


def add_options() -> None:
    """Our section of the host's settings."""
    for name, described in OPTIONS.items():
        shared.opts.add_option(
            f"sadtalker_{name}", shared.OptionInfo(described.default, described.label, section=SECTION)
        )


def results_folder() -> Path:
    """Where the videos go."""
    return Path(option("output") or Path(paths_internal.data_path, "outputs", TITLE)).resolve()


def checkpoint_folders() -> tuple[Path, ...]:
    """Folders searched for checkpoints; downloads go to the first."""
    flag = getattr(shared.cmd_opts, "sadtalker_dir", None)
    named = [Path(text) for text in (flag, option("checkpoints")) if text]
    own = Path(paths_internal.models_path, TITLE)
    return search_folders(named or [own], own)


class Extension:
    """The extension in one life of the host's page: from the reading of its scripts to Reload UI."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self.workshop = JobQueue(WebuiHost())
        self._sending = Sending(infotext_utils, ToolButton)

    def tabs(self) -> list[tuple[Any, str, str]]:
        """Our tab; where it cannot be built, one that says so. The host dies if the field for pictures is missing."""
        try:
            restorers = register_all(shared.face_restorers, shared.sd_upscalers)
            studio = PageContext(self.workshop, results_folder, checkpoint_folders, restorers, local=is_local())
            with gr.Blocks(analytics_enabled=False) as page:
                portrait = build_tab(studio).portrait
                self._sending.receive(portrait)
        except Exception as e:  # the host must start whatever is wrong with us
            log.exception("SadTalker's tab could not be built")
            with gr.Blocks(analytics_enabled=False) as page:
                gr.HTML(message(f"SadTalker's page could not be built: {e}. The log tells more.", "error"))
                with gr.Row(visible=False):
                    self._sending.receive(gr.Image(type="filepath"))
        return [(page, TITLE, TAB)]

    def after_component(self, component: Any, **words: Any) -> None:  # noqa: ANN401 - the host's callback
        """Add a button where pictures come from."""
        self._sending.after_component(component, **words)

    def app_started(self, _page: Any, app: Any) -> None:  # noqa: ANN401 - Gradio's Blocks or None, FastAPI's app
        """Add our REST routes where the host offers its own; once for each app."""
        opts = shared.cmd_opts
        if not (getattr(opts, "api", False) or getattr(opts, "nowebui", False)):
            return
        if any(getattr(route, "path", "").startswith(self._rest.prefix) for route in app.routes):
            return
        doors = self._rest.doors(
            folders=(results_folder(), *api_folders()), urls=bool(option("api_urls")),
            checkpoints=checkpoint_folders(), allowed=allowed_hosts(opts, option("api_hosts")),
            output=lambda stem: dated_output(results_folder(), stem),
            logins=self._rest.read_logins(getattr(opts, "api_auth", None) or ""),
        )  # fmt: skip
        app.include_router(self._rest.make_router(self.workshop, doors))

    def leave(self) -> None:
        """Reload UI: stop what is being made; the next life has a workshop of its own."""
        self.workshop.close()


def register(rest: Rest) -> Extension:
    """Tell the host what we have; called each time it reads its scripts."""
    guest = Extension(rest)
    AnimateResults.workshop = guest.workshop
    script_callbacks.on_ui_tabs(guest.tabs)
    script_callbacks.on_ui_settings(add_options)
    script_callbacks.on_after_component(guest.after_component)
    script_callbacks.on_app_started(guest.app_started)
    script_callbacks.on_before_ui(lambda: add_axes(scripts.scripts_data))
    script_callbacks.on_script_unloaded(guest.leave)
    return guest


def is_local() -> bool:
    """Whether only browsers of this machine can open the page."""
    return not is_remote(shared.cmd_opts) and not getattr(shared.cmd_opts, "hide_ui_dir_config", False)


def api_folders() -> tuple[Path, ...]:
    """Folders whose files API requests may name."""
    return tuple(map(Path, listed(option("api_folders"))))


class AnimateResults(scripts.Script):  # type: ignore[misc] # the host's class
    """Makes a video of every picture that a generation gives."""

    workshop: JobQueue

    def title(self) -> str:
        """What the host calls it."""
        return "SadTalker: animate each result"

    def show(self, is_img2img: bool) -> Any:  # noqa: ANN401 - the host's own
        """In both tabs, always."""
        return scripts.AlwaysVisible

    def ui(self, is_img2img: bool) -> list[Any]:
        """A switch, a voice, an engine and the common knobs."""
        with InputAccordion(False, label=self.title(), elem_id=self.elem_id("enable")) as enabled:
            voice = sound_input(self.elem_id("voice"))
            knobs = [
                make_widget(setting_spec(name), elem_id=self.elem_id(name)) for name in IN_SCRIPT
            ]
        return [enabled, voice, *knobs]

    def postprocess(self, p: Any, processed: Any, enabled: bool = False, *values: Any) -> None:  # noqa: ANN401
        """Called by the host inside its own turn, with the finished pictures."""
        if not enabled:
            return
        given, knobs = (values[0], values[1:]) if values else (None, ())
        try:
            voice = received_file(given, api_folders())
            if voice is None:
                raise SadTalkerError("SadTalker needs a voice: choose one in its part of the page")
            settings = Settings.from_mapping({**dict(zip(IN_SCRIPT, knobs, strict=False)), **wishes(p)})
            words = [f"SadTalker made {path}" for path in animate_all(self.workshop, processed, voice, settings)]
        except SadTalkerError as e:
            words = [str(e)]
        processed.comments = "\n".join(filter(None, [getattr(processed, "comments", ""), *words]))


def animate_all(workshop: JobQueue, processed: Any, voice: Path, settings: Settings) -> Iterator[Path]:  # noqa: ANN401
    """A video for each picture of a generation but the grid; the host's own turn is held already."""
    scratch = Path(tempfile.mkdtemp(prefix="sadtalker_script_"))
    try:
        for index, image in enumerate(processed.images[processed.index_of_first_image :]):
            portrait = scratch / f"{index}.png"
            image.convert("RGB").save(portrait)
            seeds = getattr(processed, "all_seeds", None) or [0]
            output = dated_output(results_folder(), f"{voice.stem[:20]}_{seeds[min(index, len(seeds) - 1)]}")
            yield workshop.run_now(Job(JobRequest(Inputs(portrait, voice), output, settings))).path
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        with suppress(AttributeError):
            shared.state.textinfo = None
