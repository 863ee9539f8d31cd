"""The text tags of a video file, such as the settings that made it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, container_error, file_input, require_media

STANDARD_TAGS = frozenset(
    ("title", "artist", "album", "album_artist", "comment", "composer", "copyright", "date", "description", "genre",
     "grouping", "lyrics", "show", "synopsis")
)  # fmt: skip
"""Tags every MP4 player knows; other names need a newer kind of tag that fewer programs show."""
LONGEST_TEXT = 16000
"""Characters in all: they travel on ffmpeg's command line, which Windows limits to 32767."""
LARGEST_TAGS_BYTES = 4 << 20
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_.-]*$")


def metadata_arguments(metadata: Mapping[str, str]) -> list[str]:
    """The arguments of ffmpeg that write these tags; any text is taken as it is, except the NUL character."""
    arguments: list[str] = []
    for name, text in metadata.items():
        if not _NAME.match(name):
            raise MediaError(f"A tag cannot be named {name!r}: use letters, digits and _ only")
        if "\0" in text:
            raise MediaError(f"The tag {name} holds a NUL character, which a video cannot store: remove it")
        arguments += ["-metadata", f"{name}={text}"]
    if sum(map(len, arguments)) > LONGEST_TEXT:
        raise MediaError(f"The tags {', '.join(metadata)} are too long: shorten them to {LONGEST_TEXT} letters")
    return arguments


def needs_custom_tags(metadata: Mapping[str, str]) -> bool:
    """Whether a name is not among the standard MP4 tags."""
    return any(name not in STANDARD_TAGS for name in metadata)


def read_metadata(path: str | Path) -> dict[str, str]:
    """All text tags of a video or sound file, by name; MediaError if it is none."""
    file = require_media(path, "video")
    with Ffmpeg(["-v", "error", *file_input(file), "-f", "ffmetadata", "-"], f"Reading the tags of {file}") as process:
        text = process.stdout.read(LARGEST_TAGS_BYTES).decode("utf-8", "replace")
        if process.stdout.read(1):
            raise MediaError(f"{file} holds more than {LARGEST_TAGS_BYTES >> 20} MB of tags: choose another file")
        if process.finish() != 0:
            if process.refused_container():
                raise container_error(file)
            raise MediaError(f"{file} is no video that can be read (ffmpeg: {process.words()}): choose another file")
    return _parse(text)


def _parse(text: str) -> dict[str, str]:
    r"""Read lines ``name=text`` with \ before = ; # \ and line ends (ffmpeg-formats, section Metadata)."""
    tags: dict[str, str] = {}
    for line in re.findall(r"(?:\\.|[^\\\n])+", text, re.DOTALL):
        if line.startswith("["):  # chapters and streams follow
            break
        parts = re.match(r"((?:\\.|[^\\=])*)=(.*)$", line, re.DOTALL)
        if parts and not line.startswith(";"):
            tags[_plain(parts[1])] = _plain(parts[2])
    return tags


def _plain(escaped: str) -> str:
    return re.sub(r"\\(.)", r"\1", escaped, flags=re.DOTALL)
