"""Face restorers and upscalers from files in the checkpoint folders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import SettingsError, WeightsError
from sadtalker_ext.weights.files import search_folders
from sadtalker_ext.weights.restorer_files import find_restorer
from sadtalker_ext.weights.restorer_listing import restorer_files

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.pipeline.restoration.registry import Restorer
    from sadtalker_ext.runtime import Runtime

KINDS: Final = {"restore": "face restorer", "upscale": "upscaler"}
"""What each of the two settings selects."""


def open_restorer_file(name: str, setting: str, registered: Sequence[str], runtime: Runtime) -> Restorer:
    """Open the file named by a setting.

    setting: a key of :data:`KINDS`. registered: names that exist without files, for the error message.
    """
    folders = search_folders(runtime.folders)
    if "/" in name or "\\" in name:
        raise SettingsError(
            f"The setting {setting} is {name!r}, but it accepts a file name without folders; put the file into a "
            "checkpoint folder"
        )
    path = find_restorer(name, folders)
    if path is None:
        raise _not_found(name, setting, registered, folders)
    from sadtalker_ext.pipeline.restoration.networks import open_picture_network
    from sadtalker_ext.pipeline.restoration.video import FaceRestorer, FrameUpscaler

    network = open_picture_network(path, runtime)
    if network.faces != (setting == "restore"):
        other = "restore" if network.faces else "upscale"
        raise WeightsError(
            f"{path.name} has the architecture {network.name}, which does not fit the setting {setting}; use it for "
            f"the setting {other}"
        )
    return FaceRestorer(network) if network.faces else FrameUpscaler(network, network.scale)


def _not_found(name: str, setting: str, registered: Sequence[str], folders: Sequence[Path]) -> SettingsError:
    names = [*registered, *(path.name for path in restorer_files(folders))]
    available = f"available: {', '.join(names)}" if names else "none is available"
    return SettingsError(
        f"There is no {KINDS[setting]} named {name!r} ({available}); choose none, or put its file (.pth, .safetensors) "
        "into a checkpoint folder"
    )
