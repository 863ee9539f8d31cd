"""Compatibility of devices: SD.Next has one device, the other webuis choose one for each task."""

from __future__ import annotations

from sadtalker_ext.runtime import AUTO
from sadtalker_ext.webui.host_modules import find


def host_device(task: str) -> str:
    """Return the name of the webui's device for a task; ``auto`` if the webui names none."""
    choose = find("devices", "get_device_for")
    device = choose(task) if choose is not None else find("devices", "device")
    return AUTO if device is None else str(device)
