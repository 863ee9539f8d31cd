"""A stub of SD.Next: the differences from AUTOMATIC1111 of the names that the extension uses.

``infotext_utils`` and ``paths_internal`` exist but are empty, ``state.begin`` takes a title, upscalers begin a job of
their own, there are no face restorers, and the page has no buttons with the ids of AUTOMATIC1111's send buttons.
"""

import types

import gradio as gr
from stub_webui import InputAccordion, OptionInfo, ParamBinding, State, StubWebui

FLAGS = {
    "api": True, "api_auth": None, "auth": None, "auth_file": None, "cors_origins": None, "cors_regex": None,
    "listen": False, "share": False, "server_name": None, "hide_ui_dir_config": False,
}  # fmt: skip


class SdNextState(State):
    """shared.state of SD.Next: a new job ends the interruption of the one before, and clears its fields."""

    def begin(self, title="", task_id=0, api=None):
        self.job, self.job_count, self.job_no, self.id = title, 1, 0, task_id or title
        self.sampling_step, self.sampling_steps, self.textinfo = 0, 0, None
        self.interrupted = self.interrupted if title.startswith("Save") else False
        self.started.append(title)
        return self.id

    def end(self, task_id=None, api=None):
        self.job, self.job_count, self.job_no, self.id = "", 0, 0, ""


class Upscaler:
    """modules.upscaler.Upscaler: doubles a picture."""

    def __init__(self, state):
        self.state, self.calls = state, 0

    def upscale(self, img, scale, selected_model=None):
        self.calls += 1
        job = self.state.begin("Upscale")
        enlarged = img.resize((img.width * scale, img.height * scale))
        self.state.end(job)
        return enlarged


class SdNextAccordion(InputAccordion):
    """Takes the label as an option only."""

    def __init__(self, value, **options):
        super().__init__(value, options["label"], options["elem_id"])


class StubSdNext(StubWebui):
    """SD.Next: its modules, callbacks and page."""

    def __init__(self, data_path, **flags):
        super().__init__(data_path, **flags)
        self.flags = {**FLAGS, **flags}
        made = self.modules
        state = SdNextState()
        upscalers = [
            types.SimpleNamespace(name=name, scaler=Upscaler(state), data_path=None) for name in ("None", "X2")
        ]
        made["modules.devices"] = types.SimpleNamespace(device="cpu", cpu="cpu")
        made["modules.paths"] = made["modules.paths_internal"]
        made["modules.paths_internal"] = types.SimpleNamespace()
        made["modules.generation_parameters_copypaste"] = made["modules.infotext_utils"]
        made["modules.infotext_utils"] = types.SimpleNamespace()
        self.moves = []
        made["modules.sd_models"] = types.SimpleNamespace(
            model_data=types.SimpleNamespace(sd_model=None),
            move_model=lambda model, device=None, force=False: self.moves.append((model, device)),
        )
        made["modules.shared"] = types.SimpleNamespace(
            state=state, opts=made["modules.shared"].opts, OptionInfo=OptionInfo, sd_upscalers=upscalers,
            cmd_opts=types.SimpleNamespace(**self.flags),
        )  # fmt: skip
        made["modules.ui_components"] = types.SimpleNamespace(
            InputAccordion=SdNextAccordion, ToolButton=self._tool_button
        )
        callbacks = made["modules.script_callbacks"]
        for name, register in list(vars(callbacks).items()):
            setattr(callbacks, name, lambda callback, register=register: register(callback))
        for name, part in made.items():
            if name != "modules":
                setattr(made["modules"], name.partition(".")[2], part)

    def _txt2img(self, picture):
        with gr.Blocks(analytics_enabled=False) as page:
            self._component(gr.Gallery, elem_id="txt2img_gallery")
            for tab in ("control", "txt2img", "img2img", "extras"):
                self._component(gr.Button, tab, elem_id=f"{tab}_tab")
            for entry in self.scripts_data:
                script = entry.script_class()
                script.is_img2img = False
                self._guarded(script.ui, False)
        return page

    def _pnginfo(self):
        with gr.Blocks(analytics_enabled=False) as page:
            self._component(gr.HTML, elem_id="process_info")
        return page

    def _connect(self):
        """A button without a target is skipped."""
        assert all(isinstance(binding, ParamBinding) for binding in self.generation_parameters_copypaste.bindings)
