"""Portraits for practice clips: faces are detected once, and scaled-down portraits are stored for all processes."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.assets import demo_portrait
from sadtalker_ext.engines.sadtalker.framing import MODES, frame_portrait
from sadtalker_ext.errors import FaceError, MediaError
from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.system.path_problems import make_folder, require_folder
from sadtalker_ext.training.core.array_records import load_arrays, save_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.arrays import Float32Array, Frame, Image
    from sadtalker_ext.geometry.crop import Box
    from sadtalker_ext.geometry.portrait import Portrait

log = logging.getLogger(__name__)

MODE: Final = "full"
"""Framing mode of the SadTalker engine: the face box without border."""
MIN_WORKING_PX: Final = 256
"""Minimum width of the face box in the working picture, however small the clip is."""
MARGIN: Final = 1.0
"""Part of the box side that is kept on each side of the box: hair and shoulders that may move into view."""
MAX_PICTURE_PX: Final = 2048
MAX_NAME_LENGTH: Final = 40


@dataclass(frozen=True)
class WorkingPortrait:
    """A portrait at the size at which the geometric renderer animates it.

    picture: (H, W, 3) uint8. mesh: (478, 3) in pixels of the picture. person: (H, W) float32 mask in [0, 1], all 1
    without segmentation. box: (4,) left, top, right, bottom of the animated square in the picture. size_px: () side
    length of the frames of the clip.
    """

    picture: Image
    mesh: Float32Array
    person: Float32Array
    box: NDArray[np.int64]
    size_px: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write an NPZ file, atomically."""
        save_arrays(self, path)

    @staticmethod
    def load(path: Path) -> WorkingPortrait:
        """Read what :meth:`save` wrote. Raises WeightsError if the file is damaged."""
        return WorkingPortrait(**load_arrays(WorkingPortrait, path, "is not a portrait file"))

    @property
    def landmarks68(self) -> Float32Array:
        """The 68 landmarks (68, 2) in pixels of the clip."""
        return self.to_clip_pixels(subset_68(self.mesh))

    def to_clip_pixels(self, points: Float32Array) -> Float32Array:
        """Convert points (..., 2) from pixels of the working picture to pixels of the clip."""
        left, top, right, bottom = self.box.tolist()
        scale = np.array([self.size_px / (right - left), self.size_px / (bottom - top)])
        return np.asarray((points - [left, top]) * scale, np.float32)

    def crop(self, frame: Frame) -> Frame:
        """Return the frame of the clip (S, S, 3) from a frame of the size of ``picture``."""
        import cv2

        left, top, right, bottom = self.box.tolist()
        size = int(self.size_px)
        resized = cv2.resize(frame[top:bottom, left:right], (size, size), interpolation=cv2.INTER_AREA)
        return np.asarray(resized, np.uint8)


def find_portraits(folder: Path | None) -> list[Path]:
    """Return the image files of a folder, sorted; the demo portrait if ``folder`` is None."""
    if folder is None:
        return [demo_portrait()]
    require_folder(folder, "use a folder of portraits")
    from sadtalker_ext.video.image_formats import supported_extensions

    extensions = supported_extensions()
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in extensions and path.is_file())
    if not found:
        raise MediaError(f"There are no pictures in {folder}. Use a folder with portraits.")
    return found


def identity_names(paths: Sequence[Path]) -> list[str]:
    """Return a unique short name of letters, digits, - and _ for each file."""
    names: list[str] = []
    for path in paths:
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)[:MAX_NAME_LENGTH] or "face"
        name, number = plain, 2
        while name in names:
            name, number = f"{plain}_{number}", number + 1
        names.append(name)
    return names


def prepare_portraits(paths: Sequence[Path], folder: Path, size_px: int) -> tuple[list[str], dict[str, str]]:
    """Write ``folder``/NAME.npz for each picture with a usable face.

    Returns the names, and the reason for each skipped file by path. Raises FaceError if no picture is usable.
    """
    make_folder(folder)
    kept, skipped = [], {}
    for path, name in zip(paths, identity_names(paths), strict=True):
        target = folder / f"{name}.npz"
        try:
            if not target.exists():
                scale_portrait(_read_portrait(path), size_px).save(target)
            kept.append(name)
        except (FaceError, MediaError) as error:
            log.warning("Skipped: %s", error)
            skipped[str(path)] = str(error)
    if not kept:
        raise FaceError(f"None of the {len(paths)} pictures can be used. {next(iter(skipped.values()))}")
    return kept, skipped


def _read_portrait(path: Path) -> Portrait:
    from sadtalker_ext.faces.find import choose_face
    from sadtalker_ext.faces.person_mask import segment_person
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.video.picture import read_picture

    picture = read_picture(path, MAX_PICTURE_PX).pixels
    face = choose_face(picture).landmarks
    return Portrait(picture, face, segment_person(picture, face.box))


def scale_portrait(portrait: Portrait, size_px: int) -> WorkingPortrait:
    """Crop the portrait around the face box of the engine; scale the box to a multiple of ``size_px``."""
    from PIL import Image as PillowImage

    box = frame_portrait(portrait, MODES[MODE], size_px).box
    multiple = max(1, -(-MIN_WORKING_PX // size_px))
    factor = multiple * size_px / box.width
    left, top, right, bottom = _window(box, portrait.picture.shape, factor)
    size = (round((right - left) * factor), round((bottom - top) * factor))
    window = (left, top, left + size[0] / factor, top + size[1] / factor)
    resampling = PillowImage.Resampling.BOX if factor < 1.0 else PillowImage.Resampling.BILINEAR

    def scaled(image: PillowImage.Image) -> NDArray[np.generic]:
        return np.asarray(image.resize(size, resampling, window))

    person = np.ones(portrait.picture.shape[:2], np.float32) if portrait.person is None else portrait.person
    mesh = portrait.landmarks.mesh.copy()
    mesh[:, :2] -= (left, top)
    x, y = round((box.left - left) * factor), round((box.top - top) * factor)
    return WorkingPortrait(
        picture=np.asarray(scaled(PillowImage.fromarray(portrait.picture)), np.uint8),
        mesh=mesh * np.float32(factor),
        person=np.clip(scaled(PillowImage.fromarray(person)), 0.0, 1.0).astype(np.float32),
        box=np.array([x, y, x + multiple * size_px, min(y + round(box.height * factor), size[1])]),
        size_px=np.array(size_px),
    )


def _window(box: Box, shape: tuple[int, ...], factor: float) -> tuple[float, float, float, float]:
    """Return left, top, right, bottom of the part of the picture that is kept.

    The box starts a whole number of working pixels from its left and upper edge.
    """
    margin_x, margin_y = MARGIN * box.width, MARGIN * box.height
    left = box.left - np.floor(min(box.left, margin_x) * factor) / factor
    top = box.top - np.floor(min(box.top, margin_y) * factor) / factor
    width = np.floor((min(box.right + margin_x, shape[1]) - left) * factor) / factor
    height = np.floor((min(box.bottom + margin_y, shape[0]) - top) * factor) / factor
    return float(left), float(top), float(left + width), float(top + height)
