"""Widgets generated from the declared settings, and conversion between widget values and settings."""

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
    "Head and eyes": ("pose_style", "view", "yaw", "pitch", "roll", "seed"),
    "Video": ("frame_rate", "quality", "resolution_limit", "restore"),
}
PLACED_SEPARATELY: Final = ("engine", "face", "tts_voice", "speech_rate")
"""Settings whose widgets are beside the portrait, the checkpoints and the text."""
Choice = str | tuple[str, str]
"""Value of a setting, also with a label before it."""
LARGEST_SLIDER: Final = 10_000.0
"""A setting with a larger range gets a number field, because a slider would be too coarse."""


@dataclass
class SettingWidgets:
    """The widgets of all settings by name of the setting."""

    by_name: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, installed: Sequence[Choice] = (), **options: Any) -> Any:  # noqa: ANN401 - a component
        """Make the widget of one setting at the current place in the layout, and return it."""
        self.by_name[name] = widget = make_widget(setting_spec(name), installed, **options)
        return widget

    def in_order(self) -> list[Any]:
        """Return the widgets in the order of the settings, as :func:`settings_from_values` expects their values."""
        return [self.by_name[spec.name] for spec in Settings.specs()]


def engine_specific() -> dict[tuple[str, ...], list[str]]:
    """Return the names of the settings that only some engines support, by the names of these engines."""
    names: dict[tuple[str, ...], list[str]] = {}
    for spec in Settings.specs():
        if spec.engines:
            names.setdefault(spec.engines, []).append(spec.name)
    return names


def ungrouped() -> list[str]:
    """Return the settings that belong to no group; the page shows them in a last group."""
    grouped = {*COMMON, *PLACED_SEPARATELY, *(name for names in GROUPS.values() for name in names)}
    return [spec.name for spec in Settings.specs() if spec.name not in grouped and not spec.engines]


def make_widget(spec: SettingSpec, installed: Sequence[Choice] = (), **options: Any) -> Any:  # noqa: ANN401
    """Return a widget that suits the type and range of a setting.

    installed: values of the settings ``restore`` and ``tts_voice`` that this machine offers besides their default.
    options: replace arguments of the component, such as ``elem_id``.
    """
    unit = f" ({spec.unit})" if spec.unit and spec.low is not None else ""
    common = {
        "label": spec.label + unit, "info": spec.help, "value": spec.default, "elem_id": f"sadtalker_{spec.name}",
        **options,
    }  # fmt: skip
    if isinstance(spec.default, bool):
        return gr.Checkbox(**common)
    if isinstance(spec.default, str):
        return _text_widget(spec, installed, common)
    if spec.low is None or spec.high is None or spec.high > LARGEST_SLIDER:
        return gr.Number(precision=0 if isinstance(spec.default, int) else None, **common)
    return gr.Slider(minimum=spec.low, maximum=spec.high, step=spec.step, **common)


def _text_widget(spec: SettingSpec, installed: Sequence[Choice], common: dict[str, Any]) -> Any:  # noqa: ANN401
    if spec.name == "restore":
        return gr.Dropdown(choices=[NO_RESTORER, *installed], **(common | {"visible": bool(installed)}))
    if spec.name == "tts_voice":
        return gr.Dropdown(choices=[("Default", ""), *installed], allow_custom_value=True, **common)
    if spec.choices:
        return gr.Radio(choices=list(spec.choices), **common)
    return gr.Textbox(max_lines=1, placeholder=spec.accepts, **common)


def settings_from_values(values: Sequence[object]) -> Settings:
    """Return the settings for the widgets' values, which are in the order of the settings."""
    return read_settings({spec.name: value for spec, value in zip(Settings.specs(), values, strict=True)})


def read_settings(values: Mapping[str, object]) -> Settings:
    """Return the settings for values of widgets by name; None keeps the default.

    Values of settings that the chosen engine does not support are ignored. Raises SettingsError for a value that is not
    accepted; its message shows the label of the setting.
    """
    engine = str(values.get("engine"))
    return Settings.from_mapping({
        spec.name: spec._replace(name=spec.label).read(values[spec.name])
        for spec in setting_specs()
        if values.get(spec.name) is not None and spec.supported_by(engine)
    })  # fmt: skip


def widget_values(settings: Settings) -> list[object]:
    """Return the widgets' values for these settings, in the order of the settings."""
    return list(settings.to_mapping().values())
