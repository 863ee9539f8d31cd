"""Events that follow a change on the page; javascript/changes.js sends one request of a kind at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from sadtalker_ext.webui.compat_events import js_argument
from sadtalker_ext.webui.compat_inputs import PRESSED

CHANGED: Final = (
    "() => {{ window.sadtalkerUi ? window.sadtalkerUi.changed('{id}') : document.getElementById('{id}').click(); }}"
)
ANSWERED: Final = "() => {{ window.sadtalkerUi && window.sadtalkerUi.answered('{id}'); }}"
ACTION_ANSWERED: Final = "() => { window.sadtalkerUi && window.sadtalkerUi.actionAnswered(); }"


class Request(NamedTuple):
    """A request to the server: its handler, and the components with its inputs and outputs."""

    handler: Callable[..., Any]
    inputs: Any
    outputs: Any


def connect_change(events: list[Callable[..., Any]], button: Any, request: Request) -> None:  # noqa: ANN401
    """Send a request whenever one of the events happens, with the values at the time when it is sent.

    events: methods of components, such as ``change``. button: hidden button that sends the request.
    """
    for event in events:
        event(None, None, None, **js_argument(CHANGED.format(id=button.elem_id)))
    sent = button.click(request.handler, request.inputs, request.outputs, **PRESSED)
    sent.then(None, None, None, **js_argument(ANSWERED.format(id=button.elem_id)))


def connect_action(button: Any, request: Request) -> None:  # noqa: ANN401 - a Gradio component
    """Send a request for the chosen result when the page's script presses a hidden button."""
    sent = button.click(request.handler, request.inputs, request.outputs, **PRESSED)
    sent.then(None, None, None, **js_argument(ACTION_ANSWERED))
