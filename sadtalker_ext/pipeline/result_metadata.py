"""The record inside every result: the settings that made it, the program's version, and that a machine made it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sadtalker_ext
from sadtalker_ext.errors import MediaError
from sadtalker_ext.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

PROGRAM = "sadtalker-ext"
AI_GENERATED = "AI-generated"
"""Stands in the description tag of every result, in these words."""


@dataclass(frozen=True)
class Record:
    """settings: that made the video. version: of the program that made it."""

    settings: Settings
    version: str = sadtalker_ext.__version__

    def tags(self) -> dict[str, str]:
        """The mp4 tags that hold this record; all of them survive ffmpeg's remuxing."""
        body = {"program": PROGRAM, "version": self.version, AI_GENERATED: True, "settings": self.settings.to_mapping()}
        return {
            "comment": json.dumps(body),
            "description": f"{AI_GENERATED} talking portrait, made with {PROGRAM} {self.version}",
        }


def read_record(path: Path) -> Record:
    """The record of a video that this program made; any other file is a MediaError."""
    from sadtalker_ext.video.metadata import read_metadata

    comment = read_metadata(path).get("comment", "")
    try:
        body = json.loads(comment)
        settings, version = body["settings"], str(body["version"])
    except (ValueError, TypeError, KeyError) as e:
        raise MediaError(f"The file {path} holds no settings; name a result of this program, as it wrote it") from e
    return Record(Settings.from_mapping(settings), version)
