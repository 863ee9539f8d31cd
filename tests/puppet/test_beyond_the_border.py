"""What large rotations bring in from beyond the border of the picture."""

import numpy as np
import pytest
from puppet_portraits import STILL, mesh_of, picture_of, shape

from sadtalker_ext.puppet.renderer import PortraitRenderer

GREEN = (40, 160, 60)
REACH = 0.45
"""Half width of the hair in face heights."""


def portrait(room_px: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return picture, mesh and person: a head before green, whose hair ends ``room_px`` before the right border."""
    mesh, picture = mesh_of("astronaut"), picture_of("astronaut").copy()
    middle, height = mesh[:468, :2].mean(0), np.ptp(mesh[:468, 1])
    rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
    head = np.hypot((columns - middle[0]) / (REACH * height), (rows - middle[1]) / (0.75 * height)) < 1.0
    body = (rows > middle[1] + 0.6 * height) & (np.abs(columns - middle[0]) < 0.4 * height)
    person = (head | body).astype(np.float32)
    picture[person == 0.0] = GREEN
    end = int(middle[0] + REACH * height) + room_px
    return np.ascontiguousarray(picture[:, :end]), mesh, np.ascontiguousarray(person[:, :end])


def strip(renderer: PortraitRenderer, mesh: np.ndarray, yaw_deg: float) -> np.ndarray:
    """Return the last columns (h, 8, 3) beside the face of a frame with this yaw."""
    frame = renderer.render_frame(shape(), np.deg2rad(np.float32([0.0, yaw_deg, 0.0])), STILL)
    top, bottom = int(mesh[10, 1]), int(mesh[152, 1])
    return frame[top:bottom, -8:].astype(int)


@pytest.mark.parametrize("yaw_deg", [-20.0, -30.0])
def test_no_copy_of_the_head_appears_beside_it_when_it_turns_away(yaw_deg: float):
    picture, mesh, person = portrait(room_px=4)
    wide = PortraitRenderer(picture, mesh, person).free_view()
    shown = strip(wide, mesh, yaw_deg)
    assert (np.abs(shown - GREEN).max(axis=-1) > 60).mean() < 0.02


def test_hair_cut_by_the_border_is_continued():
    picture, mesh, person = portrait(room_px=-12)
    wide = PortraitRenderer(picture, mesh, person).free_view()
    for yaw_deg in (-30.0, 30.0):
        middle = strip(wide, mesh, yaw_deg)[20:-20]
        assert (np.abs(middle - GREEN).max(axis=-1) < 20).mean() < 0.02


def beyond_right(renderer: PortraitRenderer, rows: slice, distance_px: int) -> np.ndarray:
    """Return pixels (h, 3) of the texture in rows of the picture, ``distance_px`` beyond its right border."""
    texture, width = renderer.rig.texture, renderer.rig.picture.shape[1]
    pixels = np.asarray(texture.data)[:: int(texture.scale), :: int(texture.scale)].astype(int)
    top, left = round(texture.origin[1]), round(texture.origin[0])
    return pixels[rows.start - top : rows.stop - top, width - 1 + distance_px - left]


def test_hair_is_continued_where_the_last_pixels_are_possibly_the_person_and_narrows():
    picture, mesh, person = portrait(room_px=-12)
    height, cut = np.ptp(mesh[:468, 1]), np.flatnonzero(person[:, -1] > 0.0)
    person[:, -2:] *= 0.3
    renderer = PortraitRenderer(picture, mesh, person).free_view()
    middle = slice(round(cut.mean() - 0.1 * height), round(cut.mean() + 0.1 * height))
    for share in (0.1, 0.2):
        away = np.abs(beyond_right(renderer, middle, round(share * height)) - GREEN).max(axis=-1)
        assert (away > 30).mean() > 0.9
    end = slice(int(cut[0]), int(cut[0] + 0.05 * height))
    far = beyond_right(renderer, end, round(0.3 * height))
    assert (np.abs(far - GREEN).max(axis=-1) < 30).mean() > 0.9


def test_no_seam_is_seen_where_the_background_goes_on_beyond_the_border():
    """Hair with an uncertain segmentation touches the border; the filled part has another colour there."""
    picture, mesh, person = portrait(room_px=20)
    middle = mesh[:468, 1].mean()
    strand = (np.abs(np.arange(picture.shape[0]) - middle) < 30)[:, None] & (person < 0.5)
    strand[:, : int(mesh[:468, 0].mean())] = False
    picture, person = picture.copy(), person.copy()
    picture[strand], person[strand] = (200, 180, 60), 0.3
    texture = PortraitRenderer(picture, mesh, person).free_view().rig.texture
    pixels = np.asarray(texture.data)[:: int(texture.scale), :: int(texture.scale)].astype(int)
    first = round(picture.shape[1] - texture.origin[0])
    rows = slice(round(middle - 20 - texture.origin[1]), round(middle + 20 - texture.origin[1]))
    step = np.abs(np.diff(pixels[rows], axis=1)).max(axis=(0, 2))
    assert step[first - 1] < 12
    assert step[first:].max() < 20
    np.testing.assert_array_less(np.abs(pixels[rows, -1] - GREEN), 25)
