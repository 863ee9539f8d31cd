"""The record stored in every result: its settings, the program version, and the label AI-generated."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import sadtalker_ext
from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM: Final = "sadtalker-ext"
AI_GENERATED: Final = "AI-generated"
"""Label in the description tag of every result."""


@dataclass(frozen=True)
class Record:
    """Settings of a video, and the version of the program that made it."""

    settings: Settings
    version: str = sadtalker_ext.__version__

    def tags(self) -> dict[str, str]:
        """Return the record as mp4 tags, which ffmpeg keeps when it remuxes the file."""
        body = {"program": PROGRAM, "version": self.version, AI_GENERATED: True, "settings": self.settings.to_mapping()}
        return {
            "comment": json.dumps(body),
            "description": f"{AI_GENERATED} talking portrait, made with {PROGRAM} {self.version}",
        }


def read_record(path: Path) -> Record:
    """Return the record of a video made by this program; MediaError for any other file."""
    from sadtalker_ext.video.metadata import read_metadata

    comment = read_metadata(path).get("comment", "")
    try:
        body = json.loads(comment)
        settings, version = body["settings"], str(body["version"])
        if not isinstance(settings, dict):
            raise TypeError("the settings are not a JSON object")
    except (ValueError, TypeError, KeyError, RecursionError) as e:
        raise MediaError(
            "The ", FileRef("video", path), " contains no settings; choose an unchanged result of this program"
        ) from e
    return Record(Settings.from_mapping(settings), version)
