"""Check of the inputs of a video by their headers, so that a server refuses wrong files before it accepts a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.video.picture import check_picture
from sadtalker_ext.video.read import probe

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.pipeline.inputs import Inputs


def check_formats(inputs: Inputs) -> None:
    """Raise MediaError if the portrait is no picture or video, the voice has no sound, or the reference is no video.

    Pixels and samples are not decoded: damage after the header is found when the video is made.
    """
    check_picture(inputs.portrait, "portrait")
    if inputs.voice is not None:
        _check_stream(inputs.voice, "voice", "audio", "an audio file or a video with audio")
    if inputs.reference is not None:
        _check_stream(inputs.reference, "reference", "video", "a video of a face")


def _check_stream(path: Path, role: str, kind: str, remedy: str) -> None:
    """Raise MediaError if a file cannot be read or has no stream of this kind, ``audio`` or ``video``."""
    info = probe(path, role)
    if not (info.has_audio if kind == "audio" else info.has_video):
        raise MediaError("The ", FileRef(role, path), f" has no {kind}: choose {remedy}")
