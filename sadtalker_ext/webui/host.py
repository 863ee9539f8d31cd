"""The extension inside stable-diffusion-webui: its callbacks, its tab, its routes, and the host of its jobs."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import gradio as gr

from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.pipeline.job import Host, Job
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.pipeline.output import dated_output
from sadtalker_ext.pipeline.progress import Progress
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui import host_state
from sadtalker_ext.webui.event_guard import guard_events
from sadtalker_ext.webui.host_access import flag, is_local, logins, serves_api
from sadtalker_ext.webui.host_axes import add_axes
from sadtalker_ext.webui.host_devices import host_device
from sadtalker_ext.webui.host_memory import image_model_unloaded
from sadtalker_ext.webui.host_modules import MISSING, find, guarded
from sadtalker_ext.webui.host_options import (
    TITLE,
    add_options,
    api_folders,
    checkpoint_folders,
    option,
    page_defaults,
    results_folder,
    webui_hosts,
)  # fmt: skip
from sadtalker_ext.webui.host_restorers import register_host_restorers, upscaler_names
from sadtalker_ext.webui.host_script import AnimateResults
from sadtalker_ext.webui.host_send_buttons import TAB, SendButtons
from sadtalker_ext.webui.html import message, stage_text
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.tab import build_tab

log = logging.getLogger(__name__)
__all__ = ["AnimateResults", "Extension", "RestApi", "WebuiHost", "register"]
NO_LOGIN: Final = "The webui's logins have no pair name:password; correct --api-auth, --auth or the file of --auth-file"
SERVED: Final = "sadtalker_prefix"
"""Name in an app's state of the prefix of the routes that it has; recent FastAPI does not list a router's routes."""


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
        return Runtime(device=flag("sadtalker_device") or host_device(TAB), folders=checkpoint_folders())

    @contextmanager
    def exclusive(self, job: Job) -> Iterator[None]:
        """Hold the webui's queue for the block; the image model may be off the GPU meanwhile."""
        wanted = bool(option("move_model"))
        with host_state.queue_lock(), host_state.running_job(job.id), image_model_unloaded(wanted):
            yield

    def job_queued(self, job: Job) -> None:
        """Add the job to the webui's waiting tasks, which its page counts."""
        host_state.add_waiting(job.id)

    def job_ended(self, job: Job) -> None:
        """Add the job to the webui's finished tasks, which ends its progress bar."""
        host_state.add_finished(job.id)

    def keeps_engine(self) -> bool:
        """Whether the user wants the engine to stay in memory."""
        return bool(option("keep_engine"))

    def report(self, progress: Progress) -> None:
        """Show progress in the webui's progress bar."""
        host_state.show_progress(stage_text(progress), progress.done, progress.total)

    def interrupted(self) -> bool:
        """Whether the webui's Interrupt was pressed."""
        return host_state.is_interrupted()


class Extension:
    """The extension, from loading its script until Reload UI. The webui calls its methods; none of them raises."""

    def __init__(self, rest_api: RestApi) -> None:
        self._rest_api = rest_api
        self.queue = JobQueue(WebuiHost())
        self._send_buttons = SendButtons()

    @guarded("show its tab")
    def tabs(self) -> list[tuple[Any, str, str]]:
        """Return the tab; if it cannot be built, it shows why."""
        try:
            with gr.Blocks(analytics_enabled=False) as page:
                self._send_buttons.set_target(build_tab(self._page_context()).portrait.picture)
            guard_events(page, webui_hosts)
        except Exception as e:  # an error in the extension must not keep the webui from starting
            log.exception("The SadTalker tab could not be built")
            page = self._error_page(f"The SadTalker tab could not be built: {e}. The log has the details.")
        return [(page, TITLE, TAB)]

    def _page_context(self) -> PageContext:
        restorers, upscalers = find("shared", "face_restorers") or (), find("shared", "sd_upscalers") or ()
        names = register_host_restorers(restorers, upscalers)
        return PageContext(
            self.queue, results_folder, checkpoint_folders, names, upscaler_names(upscalers), local=is_local(),
            defaults=page_defaults(),
        )  # fmt: skip

    def _error_page(self, text: str) -> Any:  # noqa: ANN401 - Gradio's Blocks
        with gr.Blocks(analytics_enabled=False) as page:
            gr.HTML(message(text, "error"))
            with gr.Row(visible=False):
                picture = gr.Image(type="filepath")
        guarded("receive pictures of other tabs")(self._send_buttons.set_target)(picture)
        return page

    @guarded("add its options")
    def settings(self) -> None:
        """Add the options to the webui's settings page."""
        add_options()

    @guarded("add a send button")
    def after_component(self, component: Any, **options: Any) -> None:  # noqa: ANN401 - the webui's callback
        """Add the send buttons while the webui builds its page."""
        self._send_buttons.after_component(component, **options)

    @guarded("add its axes to the X/Y/Z plot")
    def before_page(self) -> None:
        """Add the axes before the webui builds its page."""
        add_axes(find("scripts", "scripts_data") or ())

    @guarded("serve its REST API")
    def app_started(self, _page: Any, app: Any) -> None:  # noqa: ANN401 - Gradio's Blocks or None, FastAPI's app
        """Add the REST routes if the webui serves its own API; once per app."""
        if not serves_api():
            return
        if getattr(app.state, SERVED, None) == self._rest_api.prefix:
            return
        flags = find("shared", "cmd_opts")
        text = logins(flags)
        known = self._rest_api.read_logins(text)
        if text and not known:
            raise SadTalkerError(NO_LOGIN)
        options = self._rest_api.options(
            folders=(results_folder(), *api_folders()), urls=bool(option("api_urls")),
            checkpoints=checkpoint_folders(), allowed=webui_hosts(),
            output=lambda stem: dated_output(results_folder(), stem), logins=known,
        )  # fmt: skip
        app.include_router(self._rest_api.make_router(self.queue, options))
        setattr(app.state, SERVED, self._rest_api.prefix)

    @guarded("stop its jobs")
    def unload(self) -> None:
        """Stop all jobs before Reload UI; the reloaded script has a new queue."""
        self.queue.close()


def register(rest_api: RestApi) -> Extension:
    """Register the extension's callbacks; called each time the webui loads the script."""
    extension = Extension(rest_api)
    AnimateResults.queue = extension.queue
    callbacks: dict[str, tuple[Any, Callable[..., Any]]] = {
        "tab": (find("script_callbacks", "on_ui_tabs"), extension.tabs),
        "options": (find("script_callbacks", "on_ui_settings"), extension.settings),
        "send buttons": (find("script_callbacks", "on_after_component"), extension.after_component),
        "REST API": (find("script_callbacks", "on_app_started"), extension.app_started),
        "X/Y/Z axes": (find("script_callbacks", "on_before_ui"), extension.before_page),
        "Reload UI": (find("script_callbacks", "on_script_unloaded"), extension.unload),
    }
    for part, (add, callback) in callbacks.items():
        if add is None:
            log.warning(MISSING, f"callback for the {part}", "SadTalker works without it")
        else:
            add(callback)
    return extension
