"""Colour space of a video or picture, as its header states it, in the names that ffmpeg uses."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

WIDE_PRIMARIES: Final = ("bt2020", "smpte431", "smpte432")
"""BT.2020, and Display P3 with two white points; all other primaries are close to those of sRGB."""
HDR_TRANSFERS: Final = ("smpte2084", "arib-std-b67")
"""PQ and HLG."""
_TAGS: Final = re.compile(r"\((?:[^()]*, )?(?P<matrix>[\w-]+)/(?P<primaries>[\w-]+)/(?P<transfer>[\w-]+)[,)]")
_ONE_TAG: Final = re.compile(r"\((?:[^()]*, )?(?P<all>bt709|bt2020|smpte170m|bt470bg|gbr)[,)]")
_PRIMARIES: Final = {1: "bt709", 5: "bt470bg", 6: "smpte170m", 9: "bt2020", 11: "smpte431", 12: "smpte432"}
_TRANSFERS: Final = {
    1: "bt709", 6: "smpte170m", 8: "linear", 13: "iec61966-2-1", 14: "bt2020-10", 15: "bt2020-12", 16: "smpte2084",
    18: "arib-std-b67",
}  # fmt: skip
_MATRICES: Final = {0: "gbr", 1: "bt709", 4: "fcc", 5: "bt470bg", 6: "smpte170m", 7: "smpte240m", 9: "bt2020nc"}
"""Code points of ITU-T H.273, tables 2 to 4."""


@dataclass(frozen=True)
class ColourTags:
    """Primaries, transfer function and matrix by ffmpeg's names, empty if not stated; full_range: None if not stated.

    ffmpeg converts matrix and range itself; primaries and transfer function are converted here.
    """

    primaries: str = ""
    transfer: str = ""
    matrix: str = ""
    full_range: bool | None = None

    @property
    def is_srgb(self) -> bool:
        """Whether values can be shown on an sRGB screen as they are; unknown tags count as sRGB."""
        return self.primaries not in WIDE_PRIMARIES and self.transfer not in (*HDR_TRANSFERS, "linear")

    @property
    def is_hdr(self) -> bool:
        """Whether highlights are brighter than white."""
        return self.transfer in HDR_TRANSFERS


def parse_tags(stream: str) -> ColourTags:
    """Return the tags in ffmpeg's description of a stream, such as ``yuv420p10le(tv, bt2020nc/bt2020/smpte2084)``."""
    found = _TAGS.search(stream)
    if found:
        return ColourTags(found["primaries"], found["transfer"], found["matrix"])
    one = _ONE_TAG.search(stream)
    return ColourTags(one["all"], one["all"], one["all"]) if one else ColourTags()


def nclx_tags(codes: tuple[int, int, int], *, full_range: bool) -> ColourTags:
    """Return the tags of H.273 code points: primaries, transfer function, matrix."""
    primaries, transfer, matrix = codes
    return ColourTags(
        _PRIMARIES.get(primaries, ""), _TRANSFERS.get(transfer, ""), _MATRICES.get(matrix, ""), full_range
    )
