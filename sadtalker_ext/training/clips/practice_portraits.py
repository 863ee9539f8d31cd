"""Portraits for practice clips: found once, shrunk to what a small square needs, kept as files for all processes."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.sadtalker.framing import MODES, frame_portrait
from sadtalker_ext.errors import FaceError, MediaError, MissingPackageError
from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.training.core.array_records import load_arrays, save_arrays

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL.Image import Image

    from sadtalker_ext.geometry.crop import Box
    from sadtalker_ext.geometry.portrait import Portrait

log = logging.getLogger(__name__)

MODE: Final = "full"
"""The engine's framing: the face's box without the border around it, as in the modes full and crop."""
WORK_PX: Final = 256
"""The puppet works at least this large, however small the clip."""
AROUND: Final = 1.0
"""Part of the box's side that is kept on each side of it: hair and shoulders that may move into view."""
LIMIT_PX: Final = 2048


@dataclass(frozen=True)
class WorkingPortrait:
    """A portrait at the size at which the puppet renders it.

    picture: (H, W, 3) uint8. mesh: (478, 3) pixels of it. person: (H, W) float32, all 1 without segmentation.
    box: (4,) left, top, right, bottom of the animated square in it. size_px: () side of the clip's pictures.
    """

    picture: NDArray[np.uint8]
    mesh: NDArray[np.float32]
    person: NDArray[np.float32]
    box: NDArray[np.int64]
    size_px: NDArray[np.int64]

    def save(self, path: Path) -> None:
        """Write; the file is whole or absent."""
        save_arrays(self, path)

    @staticmethod
    def load(path: Path) -> WorkingPortrait:
        """Read what :meth:`save` wrote."""
        return WorkingPortrait(**load_arrays(WorkingPortrait, path, "holds no portrait"))

    @property
    def landmarks68(self) -> NDArray[np.float32]:
        """The 68 points (68, 2) in pixels of the clip's square."""
        return self.to_square(subset_68(self.mesh))

    def to_square(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Points (..., 2) of the working picture in pixels of the clip's square."""
        left, top, right, bottom = self.box.tolist()
        scale = np.array([self.size_px / (right - left), self.size_px / (bottom - top)])
        return np.asarray((points - [left, top]) * scale, np.float32)

    def square(self, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The clip's picture (S, S, 3) from a frame of the size of ``picture``."""
        import cv2

        left, top, right, bottom = self.box.tolist()
        size = int(self.size_px)
        resized = cv2.resize(frame[top:bottom, left:right], (size, size), interpolation=cv2.INTER_AREA)
        return np.asarray(resized, np.uint8)


def find_portraits(folder: Path | None) -> list[Path]:
    """Picture files of a folder, sorted, or the demo's photograph."""
    if folder is None:
        return [_demo_photograph()]
    if not folder.is_dir():
        raise MediaError(f"{folder} is no folder: name one with portraits in it")
    from sadtalker_ext.video.image_formats import opened_endings

    endings = opened_endings()
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings and path.is_file())
    if not found:
        raise MediaError(f"There are no pictures in {folder}: put portraits there")
    return found


def _demo_photograph() -> Path:
    spec = find_spec("skimage")
    folders = spec.submodule_search_locations if spec else None
    path = Path(next(iter(folders or ["skimage"]))) / "data" / "astronaut.png"
    if not path.is_file():
        raise MissingPackageError("The photograph for practice comes with scikit-image: pip install scikit-image")
    return path


def identity_names(paths: Sequence[Path]) -> list[str]:
    """A short plain name for each file; equal ones are numbered."""
    names: list[str] = []
    for path in paths:
        plain = re.sub(r"[^A-Za-z0-9_-]+", "_", path.stem)[:40] or "face"
        name, number = plain, 2
        while name in names:
            name, number = f"{plain}_{number}", number + 1
        names.append(name)
    return names


def prepare_portraits(paths: Sequence[Path], folder: Path, size_px: int) -> tuple[list[str], dict[str, str]]:
    """Write ``folder``/NAME.npz for each picture with a usable face; the names, and why others were left out."""
    from sadtalker_ext.faces.worker_client import WORKER

    folder.mkdir(parents=True, exist_ok=True)
    kept, skipped = [], {}
    for path, name in zip(paths, identity_names(paths), strict=True):
        target = folder / f"{name}.npz"
        try:
            if not target.exists():
                work_on(_read(path), size_px).save(target)
            kept.append(name)
        except (FaceError, MediaError) as error:
            log.warning("left out: %s", error)
            skipped[str(path)] = str(error)
    WORKER.close()
    if not kept:
        raise FaceError(f"None of the {len(paths)} pictures can be used: {next(iter(skipped.values()))}")
    return kept, skipped


def _read(path: Path) -> Portrait:
    from sadtalker_ext.faces.find import choose_face
    from sadtalker_ext.faces.person_mask import segment_person
    from sadtalker_ext.faces.worker_client import WorkerUnavailable
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.video.picture import read_picture

    picture = read_picture(path, LIMIT_PX).pixels
    face = choose_face(picture).landmarks
    try:
        person = segment_person(picture, face.box)
    except WorkerUnavailable:
        person = None
    return Portrait(picture, face, person)


def work_on(portrait: Portrait, size_px: int) -> WorkingPortrait:
    """The surroundings of the engine's own box, scaled so that the box is a whole multiple of ``size_px`` wide."""
    from PIL import Image

    box = frame_portrait(portrait, MODES[MODE], size_px).box
    multiple = max(1, -(-WORK_PX // size_px))
    factor = multiple * size_px / box.width
    left, top, right, bottom = _window(box, portrait.picture.shape, factor)
    size = (round((right - left) * factor), round((bottom - top) * factor))
    window = (left, top, left + size[0] / factor, top + size[1] / factor)
    how = Image.Resampling.BOX if factor < 1.0 else Image.Resampling.BILINEAR

    def scaled(image: Image) -> NDArray[np.generic]:
        return np.asarray(image.resize(size, how, window))

    person = np.ones(portrait.picture.shape[:2], np.float32) if portrait.person is None else portrait.person
    mesh = portrait.landmarks.mesh.copy()
    mesh[:, :2] -= (left, top)
    x, y = round((box.left - left) * factor), round((box.top - top) * factor)
    return WorkingPortrait(
        picture=np.asarray(scaled(Image.fromarray(portrait.picture)), np.uint8),
        mesh=mesh * np.float32(factor),
        person=np.clip(scaled(Image.fromarray(person)), 0.0, 1.0).astype(np.float32),
        box=np.array([x, y, x + multiple * size_px, min(y + round(box.height * factor), size[1])]),
        size_px=np.array(size_px),
    )


def _window(box: Box, shape: tuple[int, ...], factor: float) -> tuple[float, float, float, float]:
    """The kept part of the picture; the box lies a whole number of working pixels inside its left and upper edge."""
    across, down = AROUND * box.width, AROUND * box.height
    left = box.left - np.floor(min(box.left, across) * factor) / factor
    top = box.top - np.floor(min(box.top, down) * factor) / factor
    width = np.floor((min(box.right + across, shape[1]) - left) * factor) / factor
    height = np.floor((min(box.bottom + down, shape[0]) - top) * factor) / factor
    return float(left), float(top), float(left + width), float(top + height)
