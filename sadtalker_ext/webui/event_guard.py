"""Check of the sender of events inside a webui, which answers requests of every site and under every host name.

Gradio passes a request to handlers that ask for it. In Gradio 3, the body of a request may contain the headers with
which the handler sees it, as its queue sends them; the page uses no queue, so such requests are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import gradio as gr
from starlette.requests import HTTPConnection

from sadtalker_ext.system.request_guard import rejection_reason
from sadtalker_ext.webui.compat_events import block_functions, open_page

if TYPE_CHECKING:
    from sadtalker_ext.system.request_guard import AllowedHosts

NOT_DIRECT: Final = "This server accepts this request only from its own page."


def guard_events(page: Any, allowed: Callable[[], AllowedHosts]) -> None:  # noqa: ANN401 - Gradio's Blocks
    """Make every event of a page check its sender before its handler runs.

    allowed: returns the accepted host names and origins; called for each event, as they depend on settings.
    """
    _guard(block_functions(page), allowed)


@contextmanager
def guarded_events(allowed: Callable[[], AllowedHosts]) -> Iterator[None]:
    """Make every event that the block adds to the page being built check its sender before its handler runs.

    For widgets in a page of the webui, whose own events stay as they are.
    """
    page = open_page()
    before = block_functions(page) if page is not None else []
    yield
    if page is not None:
        _guard([function for function in block_functions(page) if function not in before], allowed)


def _guard(functions: list[Any], allowed: Callable[[], AllowedHosts]) -> None:
    for function in functions:
        if function.fn is not None:
            function.fn = _checked(function.fn, allowed)


def _checked(handler: Callable[..., Any], allowed: Callable[[], AllowedHosts]) -> Callable[..., Any]:
    # The first argument is recognised by its type; the others are those of the handler.
    def checked(request: gr.Request, *values: Any) -> Any:  # noqa: ANN401 - values of components
        if reason := sender_problem(request, allowed()):
            raise gr.Error(reason)
        return handler(*values)

    checked.__name__ = getattr(handler, "__name__", "checked")
    return checked


def sender_problem(request: Any, allowed: AllowedHosts) -> str:  # noqa: ANN401 - Gradio's record of a request
    """Return why the sender of an event is refused; empty if it is accepted, also for calls within this process."""
    if request is None:
        return ""
    received = getattr(request, "request", None)
    if not isinstance(received, HTTPConnection):
        return NOT_DIRECT
    return rejection_reason({"method": "POST", **received.scope, "type": "http"}, allowed)
