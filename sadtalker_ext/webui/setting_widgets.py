"""Widgets made from the settings, and settings made from widgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import gradio as gr

from sadtalker_ext.engines.registry import setting_spec, setting_specs
from sadtalker_ext.setting_spec import SettingSpec
from sadtalker_ext.settings import NO_RESTORER, Settings

COMMON: Final = ("still", "expression_scale", "head_motion_scale", "blink")
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Head and eyes": ("pose_style", "yaw", "pitch", "roll", "seed"),
    "Video": ("frame_rate", "quality", "resolution_limit", "restore"),
}
ELSEWHERE: Final = ("engine", "face")
"""Knobs that stand with the portrait and the state of the engines."""
LARGEST_SLIDER: Final = 10_000.0
"""A range beyond this is typed, not slid."""


@dataclass
class SettingWidgets:
    """The widget of every knob, in the order of the settings."""

    by_name: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, restorers: Sequence[str] = (), **more: Any) -> Any:  # noqa: ANN401 - a Gradio component
        """Make the widget of one knob here in the layout."""
        self.by_name[name] = widget = make_widget(setting_spec(name), restorers, **more)
        return widget

    def in_order(self) -> list[Any]:
        """The widgets in the order that :func:`settings_of` takes their values."""
        return [self.by_name[described.name] for described in Settings.specs()]


def engine_specific() -> list[str]:
    """Return the names of the settings that only some engines support."""
    return [spec.name for spec in setting_specs() if spec.engines]


def unplaced() -> list[str]:
    """Knobs that no group above names; they stand in a last group, so that a new knob is never lost."""
    placed = {*COMMON, *engine_specific(), *ELSEWHERE, *(name for names in GROUPS.values() for name in names)}
    return [described.name for described in Settings.specs() if described.name not in placed]


def elem_id(name: str) -> str:
    """The stable id of a knob's widget in the page."""
    return f"sadtalker_{name}"


def make_widget(described: SettingSpec, restorers: Sequence[str] = (), **more: Any) -> Any:  # noqa: ANN401
    """The widget that suits a knob's kind and range."""
    unit = f" ({described.unit})" if described.unit and described.low is not None else ""
    common = {
        "label": described.label + unit, "info": described.help, "value": described.default,
        "elem_id": elem_id(described.name), **more,
    }  # fmt: skip
    if described.name == "restore":
        return gr.Dropdown(choices=[NO_RESTORER, *restorers], **(common | {"visible": bool(restorers)}))
    if isinstance(described.default, bool):
        return gr.Checkbox(**common)
    if described.choices:
        return gr.Radio(choices=list(described.choices), **common)
    if isinstance(described.default, str):
        return gr.Textbox(max_lines=1, placeholder=described.accepts, **common)
    if described.low is None or described.high is None or described.high > LARGEST_SLIDER:
        return gr.Number(precision=0 if isinstance(described.default, int) else None, **common)
    return gr.Slider(minimum=described.low, maximum=described.high, step=described.step, **common)


def settings_of(values: Sequence[object]) -> Settings:
    """The settings that the widgets' values, in the order of the knobs, ask for."""
    given = {described.name: value for described, value in zip(Settings.specs(), values, strict=True)}
    engine = str(given.get("engine"))
    given = {name: value for name, value in given.items() if setting_spec(name).supported_by(engine)}
    return Settings.from_mapping({name: value for name, value in given.items() if value is not None})


def values_of(settings: Settings) -> list[object]:
    """What the widgets show for these settings."""
    return list(settings.to_mapping().values())
