"""Messages in the words of the page: no command lines, no names of settings, no paths of temporary files.

Messages of the package name the remedy for every front end. :func:`page_text` rewrites them for a user who sees a page.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from sadtalker_ext.settings import Settings
from sadtalker_ext.webui.uploads import upload_folder

Rule = tuple[str, str]
"""Pattern of the words of a message, and the words of the page."""
RULES: Final[Sequence[Rule]] = (
    (
        r"No face was found in the (?:picture|portrait)[^:;.]*: set the face to a box around it.*",
        "No face was found. Draw a box around it on the picture, or choose a picture with a frontal face.",
    ),
    (
        r"There is no face (\S+) in the picture, only (.*?): choose one of these.*",
        r"There is no face \1 on the picture, only \2. Choose one of these, or draw a box around the face.",
    ),
    (
        r"The face box \S+ is outside the picture.*",
        "The box is outside the picture. Draw it on the picture, around the face.",
    ),
    (
        r"The face box \S+ is too small.*, or (set resolution_limit to \d+ or more) .*",
        r"The box is too small. Draw a larger one around the face, or \1.",
    ),
    (
        r"The face box \S+ is too small.*",
        "The box is too small. Draw a larger one around the face, or choose a larger picture.",
    ),
    (
        r"The disk of the .*? is full.*",
        "The disk is full, so the video was not saved. Free some space, then press Generate again.",
    ),
    (r".*\[Errno 28\].*|.*No space left on device.*", "The disk is full. Free some space, then try again."),
    (
        r"Internal error \((\w+).*\); the log has the details",
        r"An error in the program stopped the video (\1). The log of the server has the details.",
    ),
    (r"(\d+) jobs? (?:are|is) waiting already; try again later", r"\1 videos are waiting already. Try again later."),
    (
        r"(?:The \S+ could not be fetched|(\S+) could not be fetched from \S+): (.*?); try again.*",
        r"\1 could not be downloaded: \2. Try again, which continues where it stopped, or choose another source under "
        r"Download from.",
    ),
    (r"(\S+) from \S+ is not the published file.*", r"\1 arrived damaged. Choose another source under Download from."),
    (
        r"; run: sadtalker weights fetch(?: [\w.-]*\w)+(?:, or put the files? into (?:that folder|one of them))?",
        "; download it under Engine",
    ),
    (
        r"is damaged or incomplete \([^()]*(?:\([^()]*\)[^()]*)*\): export (?:or download )?it again",
        "is damaged or incomplete. Export or download it again, or choose another one.",
    ),
    (
        r"(?:\[Errno -?\d+\] )?(?:Name or service not known|nodename nor servname provided[^;:.]*|getaddrinfo failed|"
        r"Temporary failure in name resolution|No address associated with hostname|Network is unreachable)",
        "the server was not found, so that this machine may have no connection to the Internet",
    ),
    (r"\[Errno -?\d+\] ", ""),
    (r"; run: (?:pip install|apt-get install)\s.*|: pip install .*", "; it must be installed as the README describes"),
    (r"run: (?:pip install|apt-get install) [^,;.]+", "install it as the README describes"),
    (r"correct --[a-z-]+ or the environment variable \S+", "ask the administrator to correct it"),
    (r"the command sadtalker voices lists all", "the field Reading voice lists all"),
    (r"choose one that sadtalker voices lists", "choose one that the field Reading voice lists"),
    (
        r"(?<!\w)(?:choose|give|use|with) (?:another |a )?--[a-z][\w-]*(?: [A-Z]+)?(?: or --[a-z][\w-]*)?",
        "ask the administrator",
    ),
    (r"\bset restore to none\b", "set Face restorer to none"),
    (r"\bset upscale to none\b", "set Upscaler to none"),
    (r"\bAn idle clip\b", "A silent video"),
    (r"\ban idle clip\b", "a silent video"),
    (r"\bpose style\b", "head motion style"),
    (r"\(ffmpeg: [^()]*(?:\([^()]*\)[^()]*)*\)", ""),
)
"""Applied in this order; a pattern may match any part of the message."""
_LAST_WORD: Final = re.compile(r"[\w)%\"']$")
_PATH: Final = re.compile(r"(?<![\w/:.])(?:[A-Za-z]:)?[/\\](?:[^/\\\s:;,'\"]+[/\\])+([^/\\\s:;,'\"]*)")


def page_text(text: str) -> str:
    """Return a message in the words of the page."""
    for pattern, words in RULES:
        text = re.sub(pattern, words, text)
    for pattern, words in _setting_rules():
        text = re.sub(pattern, words, text)
    text = _PATH.sub(_without_temporary_folder, text)
    text = re.sub(r" +([,.;:])", r"\1", re.sub(r"  +", " ", text)).strip()
    return _as_sentence(text)


def _as_sentence(text: str) -> str:
    """Return a text with a full stop at its end, unless it ends with a path or has one."""
    last = text.rpartition(" ")[2]
    ends = not _LAST_WORD.search(text) or "/" in last or "\\" in last
    return text if ends else text + "."


@cache
def _setting_rules() -> list[Rule]:
    """Return rules that replace the names of settings, where a message names one, by their labels."""
    rules = []
    for spec in Settings.specs():
        rules.append((rf"\b([Ss]etting) {spec.name}\b", rf"\1 {spec.label}"))
        if "_" in spec.name:
            rules.append((rf"\b{spec.name}\b", spec.label))
    return rules


def _without_temporary_folder(found: re.Match[str]) -> str:
    """Return a path as it is, or only the file name if the file is temporary: users do not know such folders."""
    path = Path(found[0])
    temporary = (Path(tempfile.gettempdir()), upload_folder())
    return found[1] if any(path.is_relative_to(folder) for folder in temporary) else found[0]


def described(describe: Callable[[], str]) -> str:
    """Return the words of the page for the message that ``describe`` returns."""
    return page_text(describe())
