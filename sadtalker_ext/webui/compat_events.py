"""Compatibility of events: the JavaScript of an event is the argument ``_js`` in Gradio 3 and ``js`` in Gradio 4."""

from __future__ import annotations


def js_argument(code: str) -> dict[str, str]:
    """Return the keyword argument with which an event runs ``code`` in the browser."""
    import gradio

    return {"_js" if gradio.__version__.startswith("3.") else "js": code}
