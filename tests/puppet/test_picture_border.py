"""Borders of pictures: they are found where they are, and stay where they are when the head turns."""

import cv2
import numpy as np
import pytest
from puppet_portraits import STILL, mesh_of, picture_of, shape

from sadtalker_ext.puppet.picture_border import border_windows, inside_border, without_border
from sadtalker_ext.puppet.renderer import PortraitRenderer

WIDTHS = [(3, 0, 0, 0), (0, 5, 0, 2), (4, 4, 4, 4), (0, 0, 12, 12)]
"""Widths above, below, left and right."""


def scene(height: int = 150, width: int = 200) -> np.ndarray:
    """Return a picture of soft spots between 60 and 200."""
    noise = cv2.GaussianBlur(np.random.default_rng(2).normal(size=(height, width, 3)), (0, 0), 4)
    return cv2.normalize(noise, None, 60, 200, cv2.NORM_MINMAX).astype(np.uint8)


def framed(picture: np.ndarray, widths: tuple[int, ...], level: int) -> np.ndarray:
    return cv2.copyMakeBorder(picture, *widths, borderType=cv2.BORDER_CONSTANT, value=(level,) * 3)


@pytest.mark.parametrize("level", [0, 255])
@pytest.mark.parametrize("widths", WIDTHS)
def test_borders_are_found_and_not_more_than_a_pixel_beside_them(widths, level):
    picture = framed(scene(), widths, level)
    rows, columns = inside_border(picture)
    found = (rows.start, picture.shape[0] - rows.stop, columns.start, picture.shape[1] - columns.stop)
    for is_width, width in zip(found, widths, strict=True):
        assert is_width in ((width, width + 1) if width else (0,))


@pytest.mark.parametrize("level", [0, 255])
def test_a_resized_border_is_found_with_its_mixed_line(level):
    picture = framed(scene(), (4, 4, 4, 4), level)
    small = cv2.resize(picture, None, fx=0.83, fy=0.83, interpolation=cv2.INTER_AREA)
    inner = small[inside_border(small)]
    plain = cv2.resize(
        without_border(picture, inside_border(picture)), small.shape[1::-1], interpolation=cv2.INTER_AREA
    )
    assert min(inner.shape[:2]) >= 0.83 * 150 - 4
    assert np.abs(inner.astype(int) - plain[inside_border(small)]).max() < 10


def test_pictures_without_border_are_returned_themselves():
    for picture in (scene(), picture_of("astronaut"), np.full((90, 80, 3), 7, np.uint8)):
        inside = inside_border(picture)
        assert border_windows(picture.shape[:2], inside) == ()
        assert without_border(picture, inside) is picture


def test_the_windows_cover_everything_outside_once():
    inside = (slice(3, 90), slice(0, 70))
    covered = np.zeros((100, 80), int)
    for window in border_windows((100, 80), inside):
        covered[window] += 1
    expected = np.ones((100, 80), int)
    expected[inside] = 0
    np.testing.assert_array_equal(covered, expected)


@pytest.mark.parametrize("pose_deg", [(0.0, -30.0, 0.0), (-20.0, 30.0, 0.0)])
def test_a_framed_portrait_turns_as_without_frame_and_the_frame_stays(pose_deg):
    picture, mesh = picture_of("astronaut"), mesh_of("astronaut")
    middle, height = mesh[:468, :2].mean(0), np.ptp(mesh[:468, 1])
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    person = np.hypot((columns - middle[0]) / (0.7 * height), (rows - middle[1]) / (0.95 * height)) < 1.0
    person = (person | (rows > middle[1] + 0.8 * height)).astype(np.float32)
    widths, motion = (6, 6, 6, 6), np.deg2rad(np.float32(pose_deg))
    whole = framed(picture, widths, 255)
    around = cv2.copyMakeBorder(person, *widths, borderType=cv2.BORDER_CONSTANT)
    moved = (mesh + np.float32([6, 6, 0])).astype(np.float32)
    plain = PortraitRenderer(picture, mesh, person).free_view().render_frame(shape(), motion, STILL)
    frame = PortraitRenderer(whole, moved, around).free_view().render_frame(shape(), motion, STILL)
    for window in border_windows(whole.shape[:2], (slice(6, -6 + whole.shape[0]), slice(6, -6 + whole.shape[1]))):
        assert (frame[window] == 255).all()
    difference = np.abs(frame[8:-8, 8:-8].astype(int) - plain[2:-2, 2:-2]).max(axis=-1)
    assert (difference > 24).mean() < 0.01
