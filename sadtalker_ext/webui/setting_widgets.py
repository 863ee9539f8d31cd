"""Widgets generated from the declared settings, and conversion between widget values and settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import gradio as gr

from sadtalker_ext.engines.registry import setting_spec, setting_specs
from sadtalker_ext.setting_spec import SettingSpec
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui.html import keep_units
from sadtalker_ext.webui.setting_choices import DROPDOWNS, LABELS, labelled, to_label, to_value

COMMON: Final = ("still", "expression_scale", "head_motion_scale", "blink")
"""Settings of the script that animates every result."""
ANGLES: Final = ("yaw", "pitch", "roll")
GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "Face and lips": ("expression_scale",),
    "Head": ("still", "head_motion_scale", "pose_style"),
    "Eyes": ("blink",),
    "Picture and video": (
        "quality", "frame_rate", "view", "model_3d", "mode", "size", "restore", "restore_strength", "upscale",
        "resolution_limit",
    ),
    "Advanced": ("seed", *ANGLES, "paste", "parity"),
}  # fmt: skip
"""Settings by the part of the video that they change."""
PLACED_SEPARATELY: Final = ("engine", "face", "tts_voice", "speech_rate")
"""Settings whose widgets are beside the portrait, the checkpoints and the text."""
EXAMPLES: Final = {"weights": "lip_motion.safetensors"}
"""Placeholder of a text field whose accepted values are too long to be shown in it."""
LABELLED_UNIT: Final = "Hz"
"""Unit that the label of a setting contains as "per second"."""
LARGEST_SLIDER: Final = 10_000.0
"""A setting with a larger range gets a number field, because a slider would be too coarse."""


@dataclass
class SettingWidgets:
    """The widgets of all settings by name of the setting.

    defaults: values that replace the defaults of settings on this page.
    """

    defaults: Mapping[str, object] = field(default_factory=dict)
    by_name: dict[str, Any] = field(default_factory=dict)

    def add(self, name: str, installed: Sequence[str] = (), **options: Any) -> Any:  # noqa: ANN401 - a component
        """Make the widget of one setting at the current place in the layout, and return it."""
        if name in self.defaults:
            engine = str(self.defaults.get("engine", Settings().engine))
            options = {"value": to_label(name, self.defaults[name], engine), **options}
        self.by_name[name] = widget = make_widget(setting_spec(name), installed, **options)
        return widget

    def in_order(self) -> list[Any]:
        """Return the widgets in the order of the settings, as :func:`settings_from_values` expects their values."""
        return [self.by_name[spec.name] for spec in Settings.specs()]


def engine_specific() -> list[SettingSpec]:
    """Return the settings that only some engines support."""
    return [spec for spec in Settings.specs() if spec.engines]


def group_settings() -> dict[str, list[str]]:
    """Return the names of the settings by group; a setting that no group lists is in the last one."""
    groups = {title: list(names) for title, names in GROUPS.items()}
    grouped = {*PLACED_SEPARATELY, *(name for names in GROUPS.values() for name in names)}
    groups[list(groups)[-1]] += [spec.name for spec in Settings.specs() if spec.name not in grouped]
    return groups


def make_widget(spec: SettingSpec, installed: Sequence[str] = (), **options: Any) -> Any:  # noqa: ANN401
    """Return a widget that suits the type and range of a setting.

    installed: choices of a setting in :data:`DROPDOWNS`.
    options: replace arguments of the component, such as ``elem_id``.
    """
    unit = f" ({spec.unit})" if spec.unit not in ("", LABELLED_UNIT) and spec.low is not None else ""
    common = {
        "label": spec.label + unit, "info": _help(spec), "value": spec.default,
        "elem_id": f"sadtalker_{spec.name}", **options,
    }  # fmt: skip
    if isinstance(spec.default, bool):
        return gr.Checkbox(**common)
    if isinstance(spec.default, str):
        return _text_widget(spec, installed, common)
    if spec.low is None or spec.high is None or spec.high > LARGEST_SLIDER:
        return gr.Number(precision=0 if isinstance(spec.default, int) else None, **common)
    return gr.Slider(minimum=spec.low, maximum=spec.high, step=spec.step, **common)


def _help(spec: SettingSpec) -> str:
    """Return the help of a setting without what the page shows itself: engines that have it, and names of values."""
    if spec.name == "engine":  # the labels of its choices describe them
        return ""
    text = spec.help.removeprefix(f"Only for the engine {' and '.join(spec.engines)}. " if spec.engines else "")
    return text.partition(". ")[0].rstrip(".") + "." if spec.name in LABELS else text


def _text_widget(spec: SettingSpec, installed: Sequence[str], common: dict[str, Any]) -> Any:  # noqa: ANN401
    if spec.name in DROPDOWNS and installed:
        value = to_label(spec.name, common["value"], Settings().engine)
        return gr.Dropdown(choices=list(installed), allow_custom_value=True, **(common | {"value": value}))
    if spec.choices:
        choices = [(keep_units(label), value) for label, value in labelled(spec.name, spec.choices)]
        return gr.Radio(choices=choices, **common)
    return gr.Textbox(max_lines=1, **{"placeholder": EXAMPLES.get(spec.name, spec.accepts), **common})


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
        spec.name: spec._replace(name=spec.label).read(to_value(spec.name, values[spec.name], engine))
        for spec in setting_specs()
        if values.get(spec.name) is not None and spec.supported_by(engine)
    })  # fmt: skip


def widget_values(settings: Settings) -> list[object]:
    """Return the widgets' values for these settings, in the order of the settings."""
    return [to_label(name, value, settings.engine) for name, value in settings.to_mapping().items()]
