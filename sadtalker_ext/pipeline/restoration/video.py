"""Face restorers and upscalers for video, built on networks for single pictures, without flicker."""

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
    from sadtalker_ext.arrays import Float32Array, Frame
    from sadtalker_ext.geometry.portrait import Portrait

    Network = Callable[[Frame], Float32Array]
    FindFace = Callable[[Frame], Landmarks | None]

LOG: Final = logging.getLogger(__name__)
STILL_WEIGHT: Final = 0.12
"""Weight of the restoration of a new frame where the face does not change; the rest is the smoothed earlier one."""
NOISE_LEVELS: Final = 2.0
"""Change of the face up to which it counts as noise, in levels of 0 to 255."""
MOTION_LEVELS: Final = 8.0
"""Change of the face from which the new restoration is used entirely, in levels of 0 to 255."""
CHANGE_BLUR_PX: Final = 5.0
"""Sigma of the Gaussian that smooths the change of the face."""
TILE_PX: Final = 384
MIN_TILE_PX: Final = 48
MARGIN_PX: Final = 16
"""Surroundings of a tile that an upscaler reads; their result is discarded."""
MAX_SIDE_PX: Final = 8192
SAME_ASPECT: Final = 0.01
"""Largest relative difference of the aspect ratios of a frame and the picture that it shows."""
SAME_LEVELS: Final = 16.0
"""Largest mean difference between a frame and the picture that it shows, in levels of 0 to 255."""
COMPARED_PX: Final = 16
"""Side of the thumbnails that are compared."""
NO_MEMORY: Final = "There is not enough memory to {what} the frames; set {setting} to none, or use the CPU"


class ChangeSmoother:
    """Low-pass filter over time of the change that a restorer makes; it has no effect where the face moves."""

    def __init__(self) -> None:
        self._square: Float32Array | None = None
        self._change: Float32Array | None = None

    def smooth(self, square: Frame, restored: Float32Array) -> Float32Array:
        """Return the change for the next frame (512, 512, 3), in levels of 0 to 255.

        square: (512, 512, 3), the face before restoration. restored: (512, 512, 3), after it, in levels.
        """
        import cv2

        current = square.astype(np.float32)
        change = restored - current
        if self._square is not None and self._change is not None:
            motion = np.abs(current - self._square).max(axis=-1)
            motion = (cv2.GaussianBlur(motion, (0, 0), CHANGE_BLUR_PX) - NOISE_LEVELS) / (MOTION_LEVELS - NOISE_LEVELS)
            weight = np.clip(motion, STILL_WEIGHT, 1)[..., None].astype(np.float32)
            change = self._change + weight * (change - self._change)
        self._square, self._change = current, np.asarray(change, np.float32)
        return self._change


class FaceRestorer:
    """Restores the face in every frame.

    network: returns the restored face (512, 512, 3), float32 in levels of 0 to 255, for a face square (512, 512, 3).
    make_tracker: returns a function that finds the face in one frame after another; its argument is the landmarks in
        the first frame, if they are known.
    """

    def __init__(self, network: Network, make_tracker: Callable[[Landmarks | None], FindFace] | None = None) -> None:
        self._network, self._make_tracker = network, make_tracker or _make_tracker

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """Yield one frame of the same size per input frame; one frame is kept at a time."""
        square_tracker, smoother = SquareTracker(FRAME_RATE_HZ), ChangeSmoother()
        find_face: FindFace | None = None
        mesh: Float32Array | None = None
        for frame in frames:
            if find_face is None:
                start = landmarks_in(frame, portrait)
                find_face = self._make_tracker(start)
                mesh = None if start is None else start.mesh
            if face := find_face(frame):
                mesh = face.mesh
            if mesh is None:
                raise FaceError("No face was found in the first frame to restore; set restore to none")
            transform, outline = square_tracker.update(mesh)
            square = cut_square(frame, transform)
            restored = square + smoother.smooth(square, _run(self._network, square))
            yield paste_square(frame, restored, square, square_mask(outline, transform), transform)


class FrameUpscaler:
    """Enlarges every frame; tiles that have not changed since the last frame are not computed again.

    network: returns a picture (scale * H, scale * W, 3), float32 in levels of 0 to 255, for one of (H, W, 3).
    """

    def __init__(self, network: Network, scale: int) -> None:
        self._network, self._scale, self._side = network, scale, TILE_PX

    def restore(self, frames: Iterator[Frame], portrait: Portrait) -> Iterator[Frame]:
        """Yield one frame per input frame, ``scale`` times as large; two frames are kept at a time."""
        previous: Frame | None = None
        enlarged: Frame | None = None
        for frame in frames:
            height, width = frame.shape[:2]
            if max(height, width) * self._scale > MAX_SIDE_PX:
                raise MediaError(
                    f"The upscaled frames would have {width * self._scale} x {height * self._scale} pixels, but at "
                    f"most {MAX_SIDE_PX} on a side are supported; lower the resolution limit, or set upscale to none"
                )
            enlarged = self._enlarge(frame, previous, enlarged)
            previous = frame
            yield enlarged

    def _enlarge(self, frame: Frame, previous: Frame | None = None, enlarged: Frame | None = None) -> Frame:
        """Return a frame (H, W, 3) enlarged; ``enlarged`` is the result for the frame ``previous``."""
        height, width = frame.shape[:2]
        if enlarged is None or previous is None or previous.shape != frame.shape:
            previous = None
            result: Frame = np.empty((height * self._scale, width * self._scale, 3), np.uint8)
        else:
            result = enlarged.copy()
        for tile in split_into_tiles(height, width, self._side, MARGIN_PX):
            part, larger = frame[tile.source], tile.scaled(self._scale)
            if previous is None or not np.array_equal(part, previous[tile.source]):
                result[larger.target] = self._compute(part)[larger.inner]
        return result

    def _compute(self, part: Frame) -> Frame:
        """Return a tile enlarged; if memory runs out, this and all later tiles are made smaller."""
        try:
            return np.rint(np.clip(self._network(part), 0, 255)).astype(np.uint8)
        except (RuntimeError, MemoryError) as e:
            longest = max(part.shape[:2])
            if not is_out_of_memory(e):
                raise
            if longest <= MIN_TILE_PX + 2 * MARGIN_PX:
                raise EngineError(NO_MEMORY.format(what="upscale", setting="upscale")) from e
        self._side = max(MIN_TILE_PX, longest // 2)
        LOG.warning("out of memory; continuing with tiles of %d pixels", self._side)
        return self._enlarge(part)


def landmarks_in(frame: Frame, portrait: Portrait) -> Landmarks | None:
    """Return the landmarks of the portrait in pixels of the first frame; None if it shows a different picture."""
    import cv2

    picture = portrait.picture
    scale = frame.shape[1] / picture.shape[1]
    if abs(frame.shape[0] / (picture.shape[0] * scale) - 1) > SAME_ASPECT:
        return None
    size = (COMPARED_PX, COMPARED_PX)
    thumbnails = [cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in (frame, picture)]
    if np.abs(thumbnails[0].astype(np.float32) - thumbnails[1]).mean() > SAME_LEVELS:
        return None
    return Landmarks.from_mesh(portrait.landmarks.mesh * np.float32(scale), portrait.landmarks.provider)


def _make_tracker(start: Landmarks | None) -> FindFace:
    from sadtalker_ext.faces.find import FaceFollower

    return FaceFollower(start).update


def _run(network: Network, square: Frame) -> Float32Array:
    try:
        return network(square)
    except (RuntimeError, MemoryError) as e:
        if not is_out_of_memory(e):
            raise
        raise EngineError(NO_MEMORY.format(what="restore", setting="restore")) from e
