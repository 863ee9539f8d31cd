"""A webui that lacks any one of the names that the extension looks up, or all of them: no handler raises.

The names are read from the syntax trees of the package, so that a new use of a name is covered.
"""

import ast
import logging
import sys
import types
from functools import reduce

import pytest

pytest.importorskip("gradio")
import gradio as gr
from fastapi import FastAPI
from host_tools import Processed
from stub_sdnext import StubSdNext
from stub_webui import ROOT, StubWebui

from sadtalker_ext.cli.demo import demo_portrait
from sadtalker_ext.pipeline.progress import Progress
from sadtalker_ext.settings import Settings


def used_names():
    """The pairs of module and dotted name of all calls of ``find``."""
    calls = [
        node
        for path in sorted((ROOT / "sadtalker_ext" / "webui").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "find"
    ]
    assert all(isinstance(part, ast.Constant) for call in calls for part in call.args), "find takes literals only"
    return sorted({tuple(part.value for part in call.args) for call in calls})


NAMES = used_names()
MODULES = sorted({module for module, _ in NAMES})
CASES = [
    *[[name] for name in NAMES],
    *[[(module, "")] for module in MODULES],
    [(module, "") for module in MODULES if module != "script_callbacks"],
]
HOSTS = {"AUTOMATIC1111": StubWebui, "SD.Next": StubSdNext}


def name_of(case):
    return ".".join(filter(None, case[0])) if len(case) == 1 else "everything but the callbacks"


class Lacking:
    """An object without one of its attributes; an attribute that others need can be set again."""

    def __init__(self, whole, name):
        vars(self).update(vars(whole))
        self._whole, self._name = whole, name
        vars(self).pop(name, None)

    def __getattr__(self, name):
        if name == vars(self)["_name"]:
            raise AttributeError(name)
        return getattr(self._whole, name)


def remove(host, module, name):
    """Remove a name from a module of the stub, or the module if ``name`` is empty."""
    key = f"modules.{module}"
    if not name:
        host.modules.pop(key, None)
        return
    *parents, last = name.split(".")
    try:
        owner = reduce(getattr, parents, host.modules[key])
    except (KeyError, AttributeError):
        return
    if last in vars(owner):
        delattr(owner, last)
    elif parents and hasattr(owner, last):
        setattr(host.modules[key], parents[0], Lacking(owner, last))


def test_the_list_of_names_is_complete():
    assert len(NAMES) > 35
    assert {("shared", "state.begin"), ("script_callbacks", "on_ui_tabs"), ("devices", "device")} <= set(NAMES)


def exercise(host):
    """Call everything that the webui calls, and what the queue calls; return the tabs."""
    for kind in ("before_ui", "ui_settings"):
        host.call(kind)
    with gr.Blocks(analytics_enabled=False):
        for name in ("txt2img_gallery", "txt2img_send_to_extras", "pnginfo_image", "extras_tab"):
            host.call("after_component", gr.Button(elem_id=name), elem_id=name)
    tabs = [tab for answer in host.call("ui_tabs") for tab in answer]
    assert all(binding.tabname in host.targets for binding in host.bindings), "the webui would not start"
    host.call("app_started", None, FastAPI())
    script_module = sys.modules["sadtalker_ext.webui.host_script"]
    processed = Processed(demo_portrait())
    script = script_module.AnimateResults()
    script.show(False)
    script.postprocess(types.SimpleNamespace(), processed, True, None, "starter")
    assert "needs a voice" in processed.comments
    queue_host, job = script_module.AnimateResults.queue.host, types.SimpleNamespace(id="a")
    queue_host.runtime(Settings())
    queue_host.job_queued(job)
    with queue_host.exclusive(job):
        queue_host.report(Progress("frames", 3, 5))
        assert queue_host.interrupted() is False
    queue_host.job_ended(job)
    assert queue_host.keeps_engine() is True
    return tabs


@pytest.mark.parametrize("kind", HOSTS)
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_no_handler_raises(tmp_path, caplog, kind, case):
    host = HOSTS[kind](tmp_path)
    for module, name in case:
        remove(host, module, name)
    caplog.set_level(logging.WARNING)
    try:
        host.load_scripts()
        tabs = exercise(host)
        host.call("script_unloaded")
    finally:
        for name in [name for name in sys.modules if name.startswith(("modules", "sadtalker_ext.webui.host"))]:
            del sys.modules[name]
    assert host.reports == []
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
    (tab,) = tabs or [None]
    assert (tab is None) == (case[0] in (("script_callbacks", "on_ui_tabs"), ("script_callbacks", "")))
    if tab is not None:
        assert "sadtalker_generate" in {getattr(block, "elem_id", None) for block in tab[0].blocks.values()}
