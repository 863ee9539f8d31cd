"""The square of a picture that the SadTalker renderer animates, and how frames are made from rendered squares."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.errors import EngineError, FaceError
from sadtalker_ext.geometry.crop import FIXED_RULES, OFFICIAL_RULES, Box, crop_head
from sadtalker_ext.geometry.five_point_alignment import AlignTransform, align_picture, align_transform, flip_y
from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.geometry.paste import Paster, feather_mask, match_moved_colours, paste_seamless

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array, Float64Array, UInt8Array
    from sadtalker_ext.geometry.portrait import Portrait

    Finish = Callable[[UInt8Array], UInt8Array]

MIN_BOX_PX: Final = 16
"""Smallest side of the animated box."""
FADE_FRAMES: Final = 12
"""Frames in which matched colours change from one lookup table to another: half a second, less than a level a frame."""
MIN_OUTPUT_HEIGHT_PX: Final = 2
"""The video format needs even sides of at least this length."""


@dataclass(frozen=True)
class Mode:
    """A mode of the official code.

    extended: the square includes a border around the face. whole: it shows the whole picture, resized.
    pasted: frames are the full picture with the square pasted back.
    """

    extended: bool = False
    whole: bool = False
    pasted: bool = False

    @property
    def coefficients(self) -> int:
        """Coefficients per frame that MappingNet reads; the pasting modes include the crop values."""
        return 73 if self.pasted else 70


MODES: Final = {
    "full": Mode(pasted=True),
    "extfull": Mode(pasted=True, extended=True),
    "crop": Mode(),
    "extcrop": Mode(extended=True),
    "resize": Mode(whole=True),
}


def mode_named(name: str) -> Mode:
    """Return the mode of this name; EngineError if there is none."""
    if name not in MODES:
        raise EngineError(f"There is no mode {name!r}; choose {', '.join(MODES)}")
    return MODES[name]


@dataclass(frozen=True)
class Framing:
    """The animated square of a portrait.

    picture: (H, W, 3), contains ``box``. square: (S, S, 3), the content of the box. landmarks68: (68, 2) in the square.
    output_px: (width, height) of the frames.
    between_px: (width, height) to which the official code resizes a square before pasting it; None: not resized.
    """

    picture: UInt8Array
    box: Box
    square: UInt8Array
    landmarks68: Float32Array
    output_px: tuple[int, int]
    between_px: tuple[int, int] | None = None

    def aligned(self) -> tuple[UInt8Array, AlignTransform]:
        """Return the aligned face (224, 224, 3) for FaceRecon, and the transform."""
        side = len(self.square)
        transform = align_transform(flip_y(self.landmarks68, side), side, side)
        return align_picture(self.square, transform), transform

    def aligned_to_picture(self) -> tuple[Float64Array, Float64Array]:
        """Return scale and shift (2,) each: pixel of ``picture`` = scale * pixel of the aligned face + shift."""
        _, transform = self.aligned()
        side = len(self.square)
        to_square = np.array([transform.width_px, transform.height_px]) / np.array(transform.resized_px)
        to_box = np.array([self.box.width, self.box.height]) / side
        corner = np.array(transform.corner_px) + 0.5
        scale = to_square * to_box
        return scale, scale * corner + np.array([self.box.left, self.box.top]) - 0.5


def frame_portrait(portrait: Portrait, mode: Mode, size_px: int, official: bool = False) -> Framing:
    """Crop the square of a portrait. official: use the boxes and the resampling of the official code."""
    import cv2

    picture, points = portrait.picture, subset_68(portrait.landmarks.mesh)
    height, width = picture.shape[:2]
    box = inner = Box(0, 0, width, height)
    if not mode.whole:
        crop = crop_head(points, width, height, OFFICIAL_RULES if official else FIXED_RULES)
        if crop.picture_px != (width, height):
            picture = np.asarray(cv2.resize(picture, crop.picture_px), dtype=np.uint8)
            points = points * (crop.picture_px[0] / width)
        inner = _clip_box(crop.inner, crop.picture_px)
        box = crop.outer if mode.extended else inner
    _check_size(box)
    cut = picture[box.top : box.bottom, box.left : box.right]
    shrinks = not official and min(box.width, box.height) > size_px
    square = cv2.resize(cut, (size_px, size_px), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    scale = np.array([size_px / box.width, size_px / box.height], np.float32)
    landmarks = ((points - [box.left, box.top]) * scale).astype(np.float32)
    shown = inner if official else box
    shaped = (size_px, max(MIN_OUTPUT_HEIGHT_PX, int(size_px * shown.height / shown.width)))
    output = (picture.shape[1], picture.shape[0]) if mode.pasted else shaped
    between = shaped if official and mode.pasted else None
    return Framing(picture, box, np.asarray(square, dtype=np.uint8), landmarks, output, between)


class FeatheredFinish:
    """Pastes the rendered squares of a portrait into its picture with a soft edge, in the colours of the picture.

    oval: (N, 2) face oval in pixels of the framing's picture.
    """

    def __init__(self, framing: Framing, oval: Float32Array) -> None:
        import cv2

        mask = feather_mask(framing.box, framing.output_px, oval)
        self._framing, self._paster = framing, Paster(framing.picture, framing.box, mask)
        self._weights = np.asarray(cv2.resize(mask, framing.square.shape[1::-1]), dtype=np.float32)

    def colours(self, square: UInt8Array) -> UInt8Array:
        """Return the lookup table (256, 1, 3) that maps the colours of ``square`` (S, S, 3) to those of the picture.

        square: rendered near the position of the portrait.
        """
        return match_moved_colours(square, self._framing.square, self._weights)

    def paste(self, square: UInt8Array, colours: UInt8Array) -> UInt8Array:
        """Return the frame for a square (S, S, 3). colours: its lookup table."""
        return self._paster.paste(square, colours)

    def matched_to(self, square: UInt8Array) -> Finish:
        """Return the function that makes frames from squares (S, S, 3), all with the lookup table of ``square``."""
        return partial(self.paste, colours=self.colours(square))


class FadingFinish:
    """Makes the frames of a video whose first square is far from the position of the portrait.

    at_rest: returns a square rendered at the position of the portrait. It is called for the second frame, so that the
    first one need not wait; its colours are reached after :data:`FADE_FRAMES` frames.
    """

    def __init__(self, finish: FeatheredFinish, first: UInt8Array, at_rest: Callable[[], UInt8Array]) -> None:
        self._finish, self._at_rest, self._shown = finish, at_rest, 0
        self._start = self._end = finish.colours(first)

    def __call__(self, square: UInt8Array) -> UInt8Array:
        """Return the next frame for its square (S, S, 3)."""
        if self._shown == 1:
            self._end = self._finish.colours(self._at_rest())
        share = min(self._shown / FADE_FRAMES, 1.0)
        self._shown += 1
        colours = self._start + share * (self._end.astype(np.float32) - self._start)
        return self._finish.paste(square, np.rint(colours).astype(np.uint8))


def official_finish(framing: Framing, mode: Mode) -> Finish:
    """Return the official finish: cropped squares are resized to their shape, others are pasted by Poisson blending."""
    import cv2

    def resized(square: UInt8Array, size: tuple[int, int] | None) -> UInt8Array:
        return square if size is None else np.asarray(cv2.resize(square, size), dtype=np.uint8)

    if mode.pasted:
        return lambda square: paste_seamless(framing.picture, framing.box, resized(square, framing.between_px))
    return lambda square: resized(square, framing.output_px)


def _clip_box(box: Box, size: tuple[int, int]) -> Box:
    return Box(box.left, box.top, min(box.right, size[0]), min(box.bottom, size[1]))


def _check_size(box: Box) -> None:
    if min(box.width, box.height) < MIN_BOX_PX:
        raise FaceError(
            f"The face is {box.width} x {box.height} pixels, which is too small to animate; use a larger picture or "
            "another face"
        )
