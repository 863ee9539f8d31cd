"""A face restorer or upscaler from a file in the folders of checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sadtalker_ext.errors import SettingsError, WeightsError
from sadtalker_ext.weights.files import search_folders
from sadtalker_ext.weights.restorer_files import find_restorer, restorer_files

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.pipeline.progress import Restorer
    from sadtalker_ext.runtime import Runtime

KINDS = {"restore": "face restorer", "upscale": "upscaler"}
"""What each of the two settings asks for."""


def open_file(name: str, wish: str, registered: Sequence[str], runtime: Runtime) -> Restorer:
    """Open the file that the setting ``wish`` (one of :data:`KINDS`) names.

    registered: names of what is there without files, for the message.
    """
    folders = search_folders(runtime.folders)
    if "/" in name or "\\" in name:
        raise SettingsError(
            f"The setting {wish} is {name!r}, but it takes a name without folders; name the folder with --folder"
        )
    path = find_restorer(name, folders)
    if path is None:
        raise SettingsError(_nowhere(name, wish, registered, folders))
    from sadtalker_ext.pipeline.restoration.networks import open_picture_network
    from sadtalker_ext.pipeline.restoration.video import FaceRestorer, FrameUpscaler

    network = open_picture_network(path, runtime)
    if network.faces != (wish == "restore"):
        other = "restore" if network.faces else "upscale"
        raise WeightsError(f"{path.name} is a {network.name} network, no {KINDS[wish]}: use --{other} {name}")
    return FaceRestorer(network) if network.faces else FrameUpscaler(network, network.scale)


def _nowhere(name: str, wish: str, registered: Sequence[str], folders: Sequence[Path]) -> str:
    there = [*registered, *(path.name for path in restorer_files(folders))]
    offer = f"there are {', '.join(there)}" if there else "none is available here"
    places = ", ".join(str(folder) for folder in folders)
    return (
        f"There is no {KINDS[wish]} named {name!r}; {offer}; use none, or put its file (.pth, .safetensors) into one "
        f"of: {places}"
    )
