"""The components of the page."""

from __future__ import annotations

from dataclasses import dataclass

from sadtalker_ext.webui.input_fields import PortraitWidgets, VoiceWidgets
from sadtalker_ext.webui.result_panel import MainButtons, ResultWidgets
from sadtalker_ext.webui.setting_panel import SettingPanel
from sadtalker_ext.webui.setting_widgets import SettingWidgets


@dataclass
class Page:
    """Components of the page, in the order of a narrow window; a wide one shows three columns."""

    portrait: PortraitWidgets
    voice: VoiceWidgets
    buttons: MainButtons
    results: ResultWidgets
    panel: SettingPanel
    settings: SettingWidgets
