"""A MediaPipe of our own, for hosts whose own has no face models.

Versions from 0.10.22 on, and 1.x, left out the models used here; some hosts bring those, or a protobuf beside which
pip installs no older one. ``install.py`` then puts one into a folder that only the face worker looks into, so that
nothing of the host changes.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Final

PRIVATE_FOLDER: Final = Path(__file__).resolve().parents[2] / "packages-apart"
"""Known to ``install.py`` by the same name."""


def has_face_models(mediapipe: Path) -> bool:
    """Whether the folder of a package mediapipe holds them."""
    return mediapipe.joinpath("python", "solutions").is_dir()


def host_has_face_models() -> bool:
    """Whether the mediapipe that this program would import, if there is one, has face models."""
    spec = importlib.util.find_spec("mediapipe")
    folders = (spec.submodule_search_locations or ()) if spec is not None else ()
    return any(has_face_models(Path(folder)) for folder in folders)


def private_has_face_models() -> bool:
    """Whether there is one in the folder apart."""
    return has_face_models(PRIVATE_FOLDER / "mediapipe")


def private_path() -> list[str]:
    """What the face worker searches before anything else: the folder apart, if it is wanted and there."""
    return [str(PRIVATE_FOLDER)] if private_has_face_models() and not host_has_face_models() else []
