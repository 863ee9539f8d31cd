"""Checks of the installed packages, for front ends that start whatever is missing."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

REMEDY: Final = "Install it as described in the README, then restart."


def missing_packages() -> list[str]:
    """Return a sentence for each optional package that is missing or unusable: what does not work, and the remedy."""
    from sadtalker_ext.faces.private_packages import host_has_face_models, private_has_face_models

    sentences = []
    if find_spec("imageio_ffmpeg") is None:
        sentences.append(f"No video can be made: the package imageio-ffmpeg is missing. {REMEDY}")
    if find_spec("face_alignment") is not None:
        return sentences
    if host_has_face_models() or private_has_face_models():
        return sentences
    if find_spec("mediapipe") is None:
        sentences.append(f"Faces are not detected automatically: the package mediapipe is missing. {REMEDY}")
    else:
        sentences.append(
            f"Faces are not detected automatically: the installed mediapipe has no face models. {REMEDY}"
        )
    return sentences
