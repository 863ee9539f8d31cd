"""Gradio 3 calls the JavaScript of an event ``_js``, Gradio 4 ``js``."""

from __future__ import annotations


def script(code: str) -> dict[str, str]:
    """The keyword argument of an event that runs ``code`` in the page."""
    import gradio

    return {"_js" if gradio.__version__.startswith("3.") else "js": code}
