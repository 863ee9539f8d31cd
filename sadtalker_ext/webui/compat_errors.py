"""Gradio's log of requests that this package refuses: one line in place of a traceback.

Every version of Gradio that hosts have calls ``traceback.print_exc`` in two of its modules for each exception of an
event, also for those that only carry a message to the page.
"""

from __future__ import annotations

import logging
import sys
import traceback
from types import ModuleType
from typing import Any, Final

import gradio as gr

log = logging.getLogger(__name__)
MAX_SHOWN: Final = 300
"""Characters of a message in the log."""


class ShortRefusals(ModuleType):
    """The module ``traceback`` with another ``print_exc``."""

    def __init__(self) -> None:
        super().__init__("traceback")

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - anything of the module
        return getattr(traceback, name)

    @staticmethod
    def print_exc() -> None:
        """Log the message of a refused request; print the traceback of any other exception."""
        error = sys.exc_info()[1]
        if isinstance(error, gr.Error):
            log.warning("A request was refused: %s", str(error).strip("'")[:MAX_SHOWN])
        else:
            traceback.print_exc()


def shorten_refusals() -> None:
    """Make Gradio use :class:`ShortRefusals` in this process."""
    import gradio.queueing
    import gradio.routes

    for module in (gradio.queueing, gradio.routes):
        if hasattr(module, "traceback"):
            module.traceback = ShortRefusals()
