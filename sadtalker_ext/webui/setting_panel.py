"""The settings of the page, grouped by the part of the video that they change, and the panel of checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import gradio as gr

from sadtalker_ext.engines.registry import setting_spec
from sadtalker_ext.pipeline.inputs import EYES_AND_POSE
from sadtalker_ext.setting_spec import ANGLE_LIMIT_DEG
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui.compat_events import js_argument
from sadtalker_ext.webui.compat_inputs import video_input
from sadtalker_ext.webui.engine_actions import REFERENCE_USES
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.setting_choices import pose_style_labels, restorer_labels
from sadtalker_ext.webui.setting_widgets import ANGLES, SettingWidgets, engine_specific, group_settings
from sadtalker_ext.weights.catalog import DEFAULT_MIRROR, MIRROR_LABELS

OPEN_GROUPS: Final = ("Face and lips",)
"""Groups that are open when the page is."""
ANGLE_LABELS: Final = {"yaw": "Turn left or right", "pitch": "Look up or down", "roll": "Tilt to the side"}
ANGLE_HELP: Final = "0: the head follows the voice."
KEYFRAMES_HELP: Final = {
    "yaw": "Angles in degrees, spaced evenly over the video, such as -20,0,20; with times in seconds, such as "
    "0:0,1.5:20, they are a camera path. 0 alone keeps the head straight. Empty: the head follows the voice.",
    "pitch": "As above, for looking up or down.",
    "roll": "As above, for tilting to the side.",
}
POSE_STYLE_HELP: Final = "How the head moves while it speaks."
ANGLE_TO_TEXT: Final = "(angle) => [angle ? String(angle) : '']"
TEXT_TO_ANGLE: Final = "(text) => [String(text).trim() !== '' && Number.isFinite(Number(text)) ? Number(text) : 0]"
"""JavaScript between a slider and the setting, whose text may also have several keyframes."""


@dataclass
class CheckpointWidgets:
    """The panel of checkpoints, which is visible for engines that need some."""

    part: Any
    panel: Any
    download: Any
    stop: Any
    source: Any
    verify: Any


@dataclass
class SettingPanel:
    """Components of the settings. engine_parts: widgets of :func:`engine_specific`, in its order."""

    checkpoints: CheckpointWidgets
    reference: Any
    reference_use: Any
    reference_part: Any
    engine_parts: list[Any]


def build_settings(settings: SettingWidgets, context: PageContext) -> SettingPanel:
    """Build the settings at the current place in the layout; the widgets are added to ``settings``."""
    engine = str(settings.defaults.get("engine", Settings().engine))
    settings.add("engine", info="")
    checkpoints = _build_checkpoints()
    choices: dict[str, list[str]] = {
        "pose_style": pose_style_labels(engine),
        "restore": restorer_labels(context.restorers, context.checkpoint_folders()),
        "upscale": restorer_labels(context.upscalers, context.checkpoint_folders()),
    }
    for title, names in group_settings().items():
        elem_id = f"sadtalker_part_{title.split(' ', maxsplit=1)[0].lower()}"
        with gr.Accordion(title, open=title in OPEN_GROUPS, elem_id=elem_id):
            for name in names:
                _add(settings, name, choices)
            if title == "Head":
                sliders = [_angle_slider(name) for name in ANGLES]
    for name, slider in zip(ANGLES, sliders, strict=True):
        _connect_angle(slider, settings.by_name[name])
    engine_parts = [settings.by_name[spec.name] for spec in engine_specific()]
    return SettingPanel(checkpoints, *_build_reference(), engine_parts)


def _add(settings: SettingWidgets, name: str, choices: dict[str, list[str]]) -> None:
    spec = setting_spec(name)
    if name in ANGLES:
        settings.add(name, label=f"{spec.label}: keyframes", info=KEYFRAMES_HELP[name], placeholder="-20,0,20")
        return
    restores = {"restore": "restore", "restore_strength": "restore", "upscale": "upscale"}.get(name)
    available = restores is None or len(choices[restores]) > 1
    visible = available and spec.supported_by(str(settings.by_name["engine"].value))
    help_text = {"info": POSE_STYLE_HELP} if name == "pose_style" else {}
    settings.add(name, choices.get(name, ()), visible=visible, **help_text)


def _angle_slider(name: str) -> Any:  # noqa: ANN401 - a Gradio component
    return gr.Slider(
        -ANGLE_LIMIT_DEG, ANGLE_LIMIT_DEG, 0, step=1, label=f"{ANGLE_LABELS[name]} (degrees)", info=ANGLE_HELP,
        elem_id=f"sadtalker_{name}_slider",
    )  # fmt: skip


def _connect_angle(slider: Any, text: Any) -> None:  # noqa: ANN401 - Gradio components
    slider.input(None, slider, text, **js_argument(ANGLE_TO_TEXT))
    text.change(None, text, slider, **js_argument(TEXT_TO_ANGLE))


def _build_checkpoints() -> CheckpointWidgets:
    with gr.Column(visible=False, elem_id="sadtalker_checkpoints") as part:
        panel = gr.HTML("", elem_id="sadtalker_panel")
        with gr.Row():
            download = gr.Button("Download", variant="primary", elem_id="sadtalker_download")
            stop = gr.Button("Stop the download", elem_id="sadtalker_download_stop")
        source = gr.Radio(
            [(label, name) for name, label in MIRROR_LABELS.items()], value=DEFAULT_MIRROR,
            label="Download from", elem_id="sadtalker_mirror",
        )  # fmt: skip
        verify = gr.Button("Check the files", elem_id="sadtalker_verify", size="sm")
    return CheckpointWidgets(part, panel, download, stop, source, verify)


def _build_reference() -> tuple[Any, Any, Any]:
    with gr.Accordion("Copy another video", open=False, visible=False, elem_id="sadtalker_reference_part") as part:
        video = video_input("Video whose face motion is copied", "sadtalker_reference")
        use = gr.Radio(list(REFERENCE_USES), value=EYES_AND_POSE, label="Copy", elem_id="sadtalker_reference_use")
    return video, use, part
