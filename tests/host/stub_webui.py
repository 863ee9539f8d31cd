"""A stub of stable-diffusion-webui with its callbacks, queue, progress and send buttons.

It behaves as observed in the real one: scripts run by path and are not kept in sys.modules, the extension's folder is
on the path only while its scripts load, a send button without a target is a KeyError, and a failing callback
is reported while the page is built anyway. As a program it serves the page: ``stub_webui.py --port 7861 --data DIR``.
"""

import argparse
import importlib.util
import sys
import threading
import traceback
import types
from pathlib import Path

import gradio as gr

ROOT = Path(__file__).resolve().parents[2]
PAGE_SCRIPT = """
() => {
    window.gradioApp = () => document;
    window.uiLoadedWithSadTalker = true;
}
"""


class State:
    """shared.state: the attributes that begin and end set."""

    def __init__(self):
        self.job, self.job_count, self.job_no = "", 0, 0
        self.sampling_step = self.sampling_steps = 0
        self.interrupted, self.textinfo = False, None
        self.started = []

    def begin(self, job="(unknown)"):
        self.job, self.job_count, self.job_no = job, -1, 0
        self.sampling_step, self.interrupted, self.textinfo = 0, False, None
        self.started.append(job)

    def end(self):
        self.job, self.job_count = "", 0

    def interrupt(self):
        self.interrupted = True


class Options:
    """shared.opts: options as attributes; an unknown one is an AttributeError."""

    def __init__(self):
        self.data_labels = {}

    def add_option(self, key, info):
        self.data_labels[key] = info
        if not hasattr(self, key):
            setattr(self, key, info.default)


class OptionInfo:
    def __init__(self, default=None, label="", component=None, component_args=None, onchange=None, section=None):
        self.default, self.label, self.section = default, label, section
        self.component, self.component_args = component, component_args


class InputAccordion:
    """A checkbox and an accordion; the real one is a component and a context manager too."""

    def __init__(self, value, label, elem_id):
        self._checkbox = gr.Checkbox(value=value, label=label, elem_id=elem_id)
        self._accordion = gr.Accordion(label, open=False)

    def __enter__(self):
        self._accordion.__enter__()
        return self._checkbox

    def __exit__(self, *error):
        self._accordion.__exit__(*error)


class Script:
    """scripts.Script."""

    def elem_id(self, name):
        return f"script_{'img2img' if self.is_img2img else 'txt2img'}_sadtalker_{name}"


class ParamBinding:
    def __init__(self, paste_button, tabname, source_image_component=None):
        self.paste_button, self.tabname, self.source_image_component = paste_button, tabname, source_image_component


class StubWebui:
    """A webui: its modules, callbacks and page."""

    def __init__(self, data_path, **flags):
        self.data_path = Path(data_path)
        self.flags = {"api": True, "nowebui": False, "api_auth": None, "listen": None, **flags}
        self.callbacks, self.scripts_data = {}, []
        self.reports = []
        self.modules = self._modules()

    def _modules(self):
        made = {}

        def module(name, **parts):
            made[f"modules.{name}"] = types.SimpleNamespace(**parts)
            return made[f"modules.{name}"]

        def registrar(kind):
            return lambda callback, *, name=None: self.callbacks.setdefault(kind, []).append(callback)

        kinds = ("ui_tabs", "ui_settings", "after_component", "app_started", "before_ui", "script_unloaded")
        module("script_callbacks", **{f"on_{kind}": registrar(kind) for kind in kinds})
        module("call_queue", queue_lock=threading.Lock())
        module("devices", get_device_for=lambda task: "cpu")
        module("paths_internal", data_path=str(self.data_path), models_path=str(self.data_path / "models"))
        module("scripts", Script=Script, AlwaysVisible=object(), scripts_data=self.scripts_data)
        module("sd_models")
        module(
            "shared", state=State(), opts=Options(), OptionInfo=OptionInfo, face_restorers=[], sd_upscalers=[],
            cmd_opts=types.SimpleNamespace(**self.flags),
        )  # fmt: skip
        pending = {}
        tasks = types.SimpleNamespace(pending_tasks=pending, finished_tasks=[], current_task=None)
        tasks.add_task_to_queue = lambda task: pending.__setitem__(task, 0.0)
        tasks.start_task = lambda task: (pending.pop(task, None), setattr(tasks, "current_task", task))
        tasks.finish_task = lambda task: (setattr(tasks, "current_task", None), tasks.finished_tasks.append(task))
        made["modules.progress"] = tasks
        module("ui_components", InputAccordion=InputAccordion, ToolButton=self._tool_button)
        self.targets, self.bindings = targets, bindings = {}, []
        module(
            "infotext_utils", ParamBinding=ParamBinding, paste_fields=targets, bindings=bindings,
            register_paste_params_button=bindings.append,
            add_paste_fields=lambda tab, picture, fields: targets.__setitem__(tab, {"init_img": picture}),
        )  # fmt: skip
        package = types.ModuleType("modules")
        for name, part in made.items():
            setattr(package, name.partition(".")[2], part)
        return {"modules": package, **made}

    def _tool_button(self, text, elem_id, tooltip):
        return gr.Button(text, elem_id=elem_id, size="sm")

    def __getattr__(self, name):
        return self.modules[f"modules.{name}"]

    def call(self, kind, *arguments, **options):
        """Call every callback of a kind and return the results; failures are reported, as in the real webui."""
        answers = [self._guarded(callback, *arguments, **options) for callback in self.callbacks.get(kind, [])]
        return [answer for answer in answers if answer is not None]

    def _guarded(self, function, *arguments, **options):
        """Return the function's result; report a failure and return None."""
        try:
            return function(*arguments, **options)
        except Exception:  # noqa: BLE001 - as the webui does
            self.reports.append(traceback.format_exc())
            return None

    def load_scripts(self, folder=ROOT):
        """Run the extension's scripts as the webui does."""
        sys.modules.update(self.modules)
        sys.path.insert(0, str(folder))
        try:
            for path in sorted((folder / "scripts").glob("*.py")):
                spec = importlib.util.spec_from_file_location(path.name, path)
                module = importlib.util.module_from_spec(spec)
                try:
                    spec.loader.exec_module(module)
                except Exception:  # noqa: BLE001 - as the webui does
                    self.reports.append(traceback.format_exc())
                    continue
                for found in vars(module).values():
                    if isinstance(found, type) and issubclass(found, Script):
                        entry = types.SimpleNamespace(script_class=found, module=module)
                        self.scripts_data.append(entry)
        finally:
            sys.path.remove(str(folder))

    def build(self, picture=None):
        """Build the page: txt2img with its gallery and scripts, PNG Info, and the tabs of extensions."""
        self.call("before_ui")
        self.call("ui_settings")
        css = (ROOT / "style.css").read_text("utf-8")
        pages = [(self._txt2img(picture), "txt2img", "txt2img"), (self._pnginfo(), "PNG Info", "pnginfo")]
        pages += [page for answer in self.call("ui_tabs") for page in answer]
        with gr.Blocks(css=css, analytics_enabled=False, title="StubWebui webui") as demo:
            with gr.Tabs(elem_id="tabs"):
                for page, title, name in pages:
                    with gr.TabItem(title, elem_id=f"tab_{name}"):
                        page.render()
            self._connect()
            script = "\n".join(path.read_text("utf-8") for path in ROOT.glob("javascript/*.js"))
            key = "_js" if gr.__version__.startswith("3.") else "js"
            demo.load(None, None, None, **{key: PAGE_SCRIPT.rstrip().removesuffix("}") + script + "}"})
        return demo

    def _component(self, kind, *arguments, **options):
        made = kind(*arguments, **options)
        self.call("after_component", made, **options)
        return made

    def _txt2img(self, picture):
        with gr.Blocks(analytics_enabled=False) as page:
            value = [str(picture)] if picture else None
            self._component(gr.Gallery, value=value, elem_id="txt2img_gallery")
            self._component(gr.Button, "to extras", elem_id="txt2img_send_to_extras")
            for entry in self.scripts_data:
                script = entry.script_class()
                script.is_img2img = False
                if script.show(False) is self.modules["modules.scripts"].AlwaysVisible:
                    self._guarded(script.ui, False)
        return page

    def _pnginfo(self):
        with gr.Blocks(analytics_enabled=False) as page:
            self._component(gr.Image, type="pil", elem_id="pnginfo_image")
            self._component(gr.Button, "Send to extras", elem_id="extras_tab")
        return page

    def _connect(self):
        """Connect the send buttons, as connect_paste_params_buttons: a KeyError if a tab has no target."""
        info = self.modules["modules.infotext_utils"]
        key = "_js" if gr.__version__.startswith("3.") else "js"
        for binding in info.bindings:
            target = info.paste_fields[binding.tabname]["init_img"]
            binding.paste_button.click(first_picture, binding.source_image_component, target)
            binding.paste_button.click(None, None, None, **{key: f"() => {{ switch_to_{binding.tabname}(); }}"})

    def start(self, demo, port):
        """Serve the page and call the callbacks for a started application."""
        app, address, _ = demo.launch(
            server_name="127.0.0.1", server_port=port, prevent_thread_lock=True, quiet=True, show_api=False,
            allowed_paths=[str(self.data_path)],
        )  # fmt: skip
        self.call("app_started", demo, app)
        return app, address

    def reload(self):
        """Reload UI: call the unload callbacks, remove all callbacks, and load the scripts again."""
        self.call("script_unloaded")
        self.callbacks.clear()
        self.scripts_data.clear()
        info = self.modules["modules.infotext_utils"]
        info.paste_fields.clear()
        info.bindings.clear()
        self.load_scripts()


def save_picture(picture, cache_dir, format="png"):
    """Forge replaces Gradio 4's function with one that accepts only these arguments."""
    path = Path(cache_dir, f"{id(picture)}.png")
    path.parent.mkdir(parents=True, exist_ok=True)
    picture.save(path, "PNG")
    return str(path)


def first_picture(gallery):
    """Return the first picture of a gallery, or the picture itself."""
    from PIL import Image

    if isinstance(gallery, list):
        first = gallery[0]
        first = first[0] if isinstance(first, list | tuple) else first
        first = first.get("name") if isinstance(first, dict) else first
        return Image.open(first) if isinstance(first, str) else first
    return gallery


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--queue", action="store_true", help="run events in Gradio's queue, as the real webui does")
    arguments = parser.parse_args()
    if not gr.__version__.startswith("3."):
        gr.processing_utils.save_pil_to_cache = save_picture
    host = StubWebui(arguments.data)
    host.load_scripts()
    page = host.build(arguments.picture)
    host.start(page.queue(64) if arguments.queue else page, arguments.port)
    print("ready", *host.reports, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
