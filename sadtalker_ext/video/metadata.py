"""Text tags of video files, such as the settings of a result."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.ffmpeg import Ffmpeg, container_error, file_input, require_media

STANDARD_TAGS = frozenset(
    ("title", "artist", "album", "album_artist", "comment", "composer", "copyright", "date", "description", "genre",
     "grouping", "lyrics", "show", "synopsis")
)  # fmt: skip
"""Tags that every MP4 player knows; other names need a newer tag format that fewer programs show."""
MAX_TEXT_LENGTH = 16000
"""Characters of all tags together: they are passed on ffmpeg's command line, which Windows limits to 32767."""
MAX_TAGS_BYTES = 4 << 20
"""Bytes of tags that are read from a file."""
_NAME = re.compile(r"^[A-Za-z][A-Za-z0-9_.-]*$")


def metadata_arguments(metadata: Mapping[str, str]) -> list[str]:
    """Return the arguments of ffmpeg that write these tags.

    MediaError for a name with other characters than letters, digits, ``_``, ``.`` and ``-``, for a NUL character in a
    text, and for more than :data:`MAX_TEXT_LENGTH` characters.
    """
    arguments: list[str] = []
    for name, text in metadata.items():
        if not _NAME.match(name):
            raise MediaError(f"The tag name {name!r} is not valid: use letters, digits and _ only")
        if "\0" in text:
            raise MediaError(f"The tag {name} contains a NUL character, which a video cannot store: remove it")
        arguments += ["-metadata", f"{name}={text}"]
    if sum(map(len, arguments)) > MAX_TEXT_LENGTH:
        raise MediaError(f"The tags {', '.join(metadata)} are too long: shorten them to {MAX_TEXT_LENGTH} characters")
    return arguments


def needs_custom_tags(metadata: Mapping[str, str]) -> bool:
    """Return whether any name is not a standard MP4 tag."""
    return any(name not in STANDARD_TAGS for name in metadata)


def read_metadata(path: str | Path) -> dict[str, str]:
    """Return the text tags of a video or audio file by name; MediaError if it cannot be read."""
    file = require_media(path, "video")
    ref = FileRef("video", file)
    task = ("Reading the tags of the ", ref)
    with Ffmpeg(["-v", "error", *file_input(file), "-f", "ffmetadata", "-"], task) as process:
        text = process.stdout.read(MAX_TAGS_BYTES).decode("utf-8", "replace")
        if process.stdout.read(1):
            raise MediaError("The ", ref, f" has more than {MAX_TAGS_BYTES >> 20} MB of tags: choose another file")
        if process.finish() != 0:
            if process.refused_container():
                raise container_error(file, "video")
            reason = process.last_message()
            raise MediaError("The ", ref, f" cannot be read as a video (ffmpeg: {reason}): choose another file")
    return _parse(text)


def _parse(text: str) -> dict[str, str]:
    r"""Parse lines ``name=text`` in which \ escapes = ; # \ and line ends (ffmpeg-formats, section Metadata)."""
    tags: dict[str, str] = {}
    for line in re.findall(r"(?:\\.|[^\\\n])+", text, re.DOTALL):
        if line.startswith("["):  # chapters and streams follow
            break
        parts = re.match(r"((?:\\.|[^\\=])*)=(.*)$", line, re.DOTALL)
        if parts and not line.startswith(";"):
            tags[_unescape(parts[1])] = _unescape(parts[2])
    return tags


def _unescape(escaped: str) -> str:
    return re.sub(r"\\(.)", r"\1", escaped, flags=re.DOTALL)
