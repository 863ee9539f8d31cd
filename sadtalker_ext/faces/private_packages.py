"""Private installation of MediaPipe for hosts whose MediaPipe has no face models.

MediaPipe 0.10.22 and later, including 1.x, does not contain the face models used here. Some hosts install such a
version, or a protobuf that conflicts with older ones. In both cases ``install.py`` installs a MediaPipe with face
models in a folder that only the face worker imports from; the packages of the host do not change.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

PRIVATE_FOLDER: Final = Path(__file__).resolve().parents[2] / "packages-apart"
"""The same folder as ``PRIVATE_FOLDER`` in ``install.py``."""


def has_face_models(mediapipe: Path) -> bool:
    """Return whether a folder of the package mediapipe contains the face models."""
    return mediapipe.joinpath("python", "solutions").is_dir()


def host_has_face_models() -> bool:
    """Return whether the MediaPipe that this program would import has face models; false if none is installed."""
    spec = importlib.util.find_spec("mediapipe")
    folders = (spec.submodule_search_locations or ()) if spec is not None else ()
    return any(has_face_models(Path(folder)) for folder in folders)


def private_has_face_models() -> bool:
    """Return whether :data:`PRIVATE_FOLDER` contains a MediaPipe with face models."""
    return has_face_models(PRIVATE_FOLDER / "mediapipe")


def private_path() -> list[str]:
    """Return the first search path entries of the face worker: the private folder, if only it has face models."""
    return [str(PRIVATE_FOLDER)] if private_has_face_models() and not host_has_face_models() else []
