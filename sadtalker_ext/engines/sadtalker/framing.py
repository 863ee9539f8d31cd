"""What of a picture the official renderer animates, and how its square becomes a frame of the video again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sadtalker_ext.errors import EngineError, FaceError
from sadtalker_ext.geometry.crop import FIXED_RULES, OFFICIAL_RULES, Box, crop_head
from sadtalker_ext.geometry.five_point_alignment import AlignTransform, align_picture, align_transform, flip_y
from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.geometry.paste import Paster, feather_mask, match_colours, paste_seamless

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.geometry.portrait import Portrait

    Picture = NDArray[np.uint8]

SMALLEST_BOX_PX = 16
EVEN = 2


@dataclass(frozen=True)
class Mode:
    """extended: the square holds the border around the face too. whole: it holds the whole picture, squeezed.
    pasted: frames are the full picture with the square put back.
    """

    extended: bool = False
    whole: bool = False
    pasted: bool = False

    @property
    def coefficients(self) -> int:
        """Numbers per frame that its MappingNet reads: the pasted modes know where the crop lies."""
        return 73 if self.pasted else 70


MODES = {
    "full": Mode(pasted=True),
    "extfull": Mode(pasted=True, extended=True),
    "crop": Mode(),
    "extcrop": Mode(extended=True),
    "resize": Mode(whole=True),
}


def mode_named(name: str) -> Mode:
    """A mode by its name."""
    if name not in MODES:
        raise EngineError(f"There is no mode {name!r}; choose {', '.join(MODES)}")
    return MODES[name]


@dataclass(frozen=True)
class Framing:
    """picture: (H, W, 3) in which ``box`` lies. square: (S, S, 3), what the box shows. landmarks68: (68, 2) in it.
    output_px: (width, height) of the video's frames. between_px: (width, height) that the official code brings a square
    to before it pastes it; None where that detour is left out.
    """

    picture: Picture
    box: Box
    square: Picture
    landmarks68: NDArray[np.float32]
    output_px: tuple[int, int]
    between_px: tuple[int, int] | None = None

    def aligned(self) -> tuple[Picture, AlignTransform]:
        """The face as FaceRecon wants it, (224, 224, 3), and how it was aligned."""
        side = len(self.square)
        transform = align_transform(flip_y(self.landmarks68, side), side, side)
        return align_picture(self.square, transform), transform


def frame_portrait(portrait: Portrait, mode: Mode, size_px: int, official: bool = False) -> Framing:
    """Cut the square of a portrait. ``official`` keeps the boxes and the resampling of the official code."""
    import cv2

    picture, points = portrait.picture, subset_68(portrait.landmarks.mesh)
    height, width = picture.shape[:2]
    box = inner = Box(0, 0, width, height)
    if not mode.whole:
        crop = crop_head(points, width, height, OFFICIAL_RULES if official else FIXED_RULES)
        if crop.picture_px != (width, height):
            picture = np.asarray(cv2.resize(picture, crop.picture_px), dtype=np.uint8)
            points = points * (crop.picture_px[0] / width)
        inner = _inside(crop.inner, crop.picture_px)
        box = crop.outer if mode.extended else inner
    _check(box)
    cut = picture[box.top : box.bottom, box.left : box.right]
    shrinks = not official and min(box.width, box.height) > size_px
    square = cv2.resize(cut, (size_px, size_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    scale = np.array([size_px / box.width, size_px / box.height], np.float32)
    landmarks = ((points - [box.left, box.top]) * scale).astype(np.float32)
    shown = inner if official else box
    shaped = (size_px, max(EVEN, int(size_px * shown.height / shown.width)))
    output = (picture.shape[1], picture.shape[0]) if mode.pasted else shaped
    between = shaped if official and mode.pasted else None
    return Framing(picture, box, np.asarray(square, dtype=np.uint8), landmarks, output, between)


def paster(framing: Framing, oval: NDArray[np.float32], rest: Picture) -> Callable[[Picture], Picture]:
    """Puts a rendered square (S, S, 3) back into the picture.

    oval: (N, 2) face oval in pixels of the framing's picture. rest: the square as rendered without any motion; its
    colours are brought to those of the portrait once, for all frames.
    """
    import cv2

    mask = feather_mask(framing.box, framing.output_px, oval)
    weights = np.asarray(cv2.resize(mask, rest.shape[1::-1]), dtype=np.float32)
    return Paster(framing.picture, framing.box, mask, match_colours(rest, framing.square, weights)).paste


def official_finisher(framing: Framing, mode: Mode) -> Callable[[Picture], Picture]:
    """As the official code does it: cropped squares get their shape back, others a Poisson solve per frame."""
    import cv2

    def resized(square: Picture, size: tuple[int, int] | None) -> Picture:
        return square if size is None else np.asarray(cv2.resize(square, size), dtype=np.uint8)

    if mode.pasted:
        return lambda square: paste_seamless(framing.picture, framing.box, resized(square, framing.between_px))
    return lambda square: resized(square, framing.output_px)


def _inside(box: Box, size: tuple[int, int]) -> Box:
    return Box(box.left, box.top, min(box.right, size[0]), min(box.bottom, size[1]))


def _check(box: Box) -> None:
    if min(box.width, box.height) < SMALLEST_BOX_PX:
        raise FaceError(
            f"The face is {box.width} x {box.height} pixels, too little to animate; use a larger picture or another "
            "face"
        )
