"""Compatibility of events.

The JavaScript of an event is the argument ``_js`` in Gradio 3 and ``js`` in Gradio 4. The functions of a page are a
list in Gradio 3 and a mapping in Gradio 4.
"""

from __future__ import annotations

from typing import Any


def js_argument(code: str) -> dict[str, str]:
    """Return the keyword argument with which an event runs ``code`` in the browser."""
    import gradio

    return {"_js" if gradio.__version__.startswith("3.") else "js": code}


def block_functions(page: Any) -> list[Any]:  # noqa: ANN401 - Gradio's Blocks
    """Return Gradio's records of the events of a page; ``fn`` is the Python function of an event, or None."""
    return list(page.fns.values() if isinstance(page.fns, dict) else page.fns)


def open_page() -> Any:  # noqa: ANN401 - Gradio's Blocks
    """Return the page that is being built, to which new events belong; None outside a page."""
    from gradio.context import Context

    return Context.root_block
