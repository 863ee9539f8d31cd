"""Compatibility of pictures sent between tabs.

The functions are in ``infotext_utils`` since AUTOMATIC1111 1.9; before, and in SD.Next, whose ``infotext_utils`` is
empty, they are in ``generation_parameters_copypaste``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sadtalker_ext.webui.host_modules import find


def set_target(tab: str, picture: Any) -> bool:  # noqa: ANN401 - a Gradio component
    """Make an input the target of the pictures sent to a tab; return whether the webui supports this."""
    add = find("infotext_utils", "add_paste_fields") or find("generation_parameters_copypaste", "add_paste_fields")
    if add is not None:
        add(tab, picture, [])
    return add is not None


def connect(button: Any, tab: str, picture: Any) -> None:  # noqa: ANN401
    """Make a button send ``picture`` to the target of a tab, if :func:`can_connect`."""
    binding, register = _functions()
    register(binding(paste_button=button, tabname=tab, source_image_component=picture))


def can_connect() -> bool:
    """Whether the webui has the functions that connect a button."""
    return None not in _functions()


def _functions() -> tuple[Callable[..., Any], Callable[..., Any]]:
    binding = find("infotext_utils", "ParamBinding") or find("generation_parameters_copypaste", "ParamBinding")
    register = find("infotext_utils", "register_paste_params_button")
    return binding, register or find("generation_parameters_copypaste", "register_paste_params_button")
