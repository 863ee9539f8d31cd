"""Faces restored and frames enlarged by networks that know single pictures, made steady for video."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.errors import EngineError, FaceError, MediaError
from sadtalker_ext.geometry.ffhq_alignment import SquareTracker, cut_square, paste_square, square_mask
from sadtalker_ext.geometry.landmarks import Landmarks
from sadtalker_ext.geometry.tiles import split_into_tiles
from sadtalker_ext.runtime import is_out_of_memory

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.geometry.portrait import Portrait

    Floats = NDArray[np.float32]
    Compute = Callable[[Frame], Floats]
    Look = Callable[[Frame], Landmarks | None]

LOG: Final = logging.getLogger(__name__)
STEADY_PART: Final = 0.12
"""Share of a new frame's restoration that is taken where the face does not change; the rest is what was there."""
QUIET_LEVELS: Final = 2.0
CHANGE_LEVELS: Final = 8.0
"""Change of the face, in levels, up to which it is noise, and from which the new restoration is taken entirely."""
CHANGE_BLUR_PX: Final = 5.0
TILE_PX: Final = 384
SMALLEST_TILE_PX: Final = 48
MARGIN_PX: Final = 16
"""Of a tile's surroundings that an upscaler sees and whose result is thrown away."""
LARGEST_SIDE_PX: Final = 8192
SAME_SHAPE: Final = 0.01
SAME_LEVELS: Final = 16.0
"""A frame that shows the whole picture differs from it by less, in the mean over coarse blocks."""
NO_MEMORY: Final = "There is not enough memory to {what} the frames: use {flag} none, or the CPU"


class SteadyChange:
    """What a restorer adds to the face, low-passed in time where the face itself is still, fresh where it moves."""

    def __init__(self) -> None:
        self._seen: Floats | None = None
        self._change: Floats | None = None

    def smooth(self, square: Frame, restored: Floats) -> Floats:
        """The change (512, 512, 3), in levels, of the next frame's square (512, 512, 3)."""
        import cv2

        seen = square.astype(np.float32)
        change = restored - seen
        if self._seen is not None and self._change is not None:
            moved = np.abs(seen - self._seen).max(axis=-1)
            moved = (cv2.GaussianBlur(moved, (0, 0), CHANGE_BLUR_PX) - QUIET_LEVELS) / (CHANGE_LEVELS - QUIET_LEVELS)
            part = np.clip(moved, STEADY_PART, 1)[..., None].astype(np.float32)
            change = self._change + part * (change - self._change)
        self._seen, self._change = seen, np.asarray(change, np.float32)
        return self._change


class FaceRestorer:
    """Restores the talking face of every frame.

    network: a face square (512, 512, 3) in levels -> the restored one, float, in levels.
    follow: makes what finds the face in one frame after the other, given where it is at first.
    """

    def __init__(self, network: Compute, follow: Callable[[Landmarks | None], Look] | None = None) -> None:
        self._network, self._follow = network, follow or _follow

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """The frames, one for one and of the same size; one is held at a time."""
        tracker, change = SquareTracker(FRAME_RATE_HZ), SteadyChange()
        look: Look | None = None
        mesh: Floats | None = None
        for frame in frames:
            if look is None:
                start = landmarks_in(frame, portrait)
                look = self._follow(start)
                mesh = None if start is None else start.mesh
            if face := look(frame):
                mesh = face.mesh
            if mesh is None:
                raise FaceError("No face is seen in the first frame, so there is none to restore: use --restore none")
            transform, outline = tracker.update(mesh)
            square = cut_square(frame, transform)
            restored = square + change.smooth(square, _restored(self._network, square))
            yield paste_square(frame, restored, square, square_mask(outline, transform), transform)


class FrameUpscaler:
    """Makes every frame larger. Tiles of a frame that show what they showed before are not computed again.

    network: (H, W, 3) in levels -> (scale * H, scale * W, 3), float, in levels.
    """

    def __init__(self, network: Compute, scale: int) -> None:
        self._network, self._scale, self._side = network, scale, TILE_PX

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """The frames, one for one, every one ``scale`` times as large; one and the one before it are held."""
        shown: Frame | None = None
        enlarged: Frame | None = None
        for frame in frames:
            height, width = frame.shape[:2]
            if max(height, width) * self._scale > LARGEST_SIDE_PX:
                raise MediaError(
                    f"Frames of {width} x {height} pixels, {self._scale} times as large, are more than "
                    f"{LARGEST_SIDE_PX} on a side: lower --resolution-limit or use --upscale none"
                )
            enlarged = self._enlarge(frame, shown, enlarged)
            shown = frame
            yield enlarged

    def _enlarge(self, frame: Frame, shown: Frame | None = None, before: Frame | None = None) -> Frame:
        """One frame (H, W, 3) larger; ``before`` is what became of ``shown``, the frame before it."""
        height, width = frame.shape[:2]
        if before is None or shown is None or shown.shape != frame.shape:
            shown = None
            result: Frame = np.empty((height * self._scale, width * self._scale, 3), np.uint8)
        else:
            result = before.copy()
        for tile in split_into_tiles(height, width, self._side, MARGIN_PX):
            part, larger = frame[tile.source], tile.scaled(self._scale)
            if shown is None or not np.array_equal(part, shown[tile.source]):
                result[larger.target] = self._compute(part)[larger.inner]
        return result

    def _compute(self, part: Frame) -> Frame:
        """A tile with its surroundings enlarged; in smaller ones from now on where memory does not suffice."""
        try:
            return np.rint(np.clip(self._network(part), 0, 255)).astype(np.uint8)
        except (RuntimeError, MemoryError) as e:
            longest = max(part.shape[:2])
            if not is_out_of_memory(e):
                raise
            if longest <= SMALLEST_TILE_PX + 2 * MARGIN_PX:
                raise EngineError(NO_MEMORY.format(what="enlarge", flag="--upscale")) from e
        self._side = max(SMALLEST_TILE_PX, longest // 2)
        LOG.warning("memory ran out; going on with tiles of %d pixels", self._side)
        return self._enlarge(part)


def landmarks_in(frame: Frame, portrait: Portrait) -> Landmarks | None:
    """The portrait's landmarks in pixels of the first frame, None where the frame does not show the same picture."""
    import cv2

    picture = portrait.picture
    scale = frame.shape[1] / picture.shape[1]
    if abs(frame.shape[0] / (picture.shape[0] * scale) - 1) > SAME_SHAPE:
        return None
    thumbs = [cv2.resize(image, (16, 16), interpolation=cv2.INTER_AREA) for image in (frame, picture)]
    if np.abs(thumbs[0].astype(np.float32) - thumbs[1]).mean() > SAME_LEVELS:
        return None
    return Landmarks.from_mesh(portrait.landmarks.mesh * np.float32(scale), portrait.landmarks.provider)


def _follow(start: Landmarks | None) -> Look:
    from sadtalker_ext.faces.find import FaceFollower

    return FaceFollower(start).look


def _restored(network: Compute, square: Frame) -> Floats:
    try:
        return network(square)
    except (RuntimeError, MemoryError) as e:
        if not is_out_of_memory(e):
            raise
        raise EngineError(NO_MEMORY.format(what="restore", flag="--restore")) from e
