"""The log of Gradio: refused requests are short, other exceptions are whole."""

import pytest

pytest.importorskip("gradio", reason="gradio is not installed")
import gradio as gr

from sadtalker_ext.webui.compat_errors import ShortRefusals, shorten_refusals


def test_refusals_are_logged_in_one_line(caplog, capsys):
    try:
        raise gr.Error("choose it again. " * 100)
    except gr.Error:
        ShortRefusals.print_exc()
    assert len(caplog.messages) == 1
    assert len(caplog.messages[0]) < 400
    assert capsys.readouterr().err == ""


def test_other_exceptions_keep_their_traceback(caplog, capsys):
    try:
        raise KeyError("a bug")
    except KeyError:
        ShortRefusals.print_exc()
    assert caplog.messages == []
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_gradio_uses_it(monkeypatch):
    import gradio.routes

    monkeypatch.setattr(gradio.routes, "traceback", gradio.routes.traceback)
    shorten_refusals()
    assert isinstance(gradio.routes.traceback, ShortRefusals)
    assert "ValueError" in gradio.routes.traceback.format_exception_only(ValueError("x"))[0]
