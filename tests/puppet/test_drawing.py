"""Drawings are distinguished from photographs by their flat skin; their mouths have a flat interior."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from puppet_portraits import NAMES, STILL, mesh_of, picture_of, shape

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.drawing import FLAT_SHARE, flat_share, is_drawing
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.renderer import PortraitRenderer

DRAWN = {"art_3"}
"""Shared portraits that are drawings; the others are photographs, renderings and paintings with round, lit skin."""
COLOURS = 6
"""Colours of a poster."""


def measured(picture: np.ndarray, name: str) -> float:
    return flat_share(picture, measure_face(mesh_of(name)), mesh_of(name))


def poster(picture: np.ndarray) -> np.ndarray:
    """Return the picture in a few flat colours (k-means), smoothed before: a simple drawing of the same face."""
    smooth = picture
    for _ in range(6):
        smooth = cv2.bilateralFilter(smooth, 9, 40, 9)
    levels = smooth.reshape(-1, 3).astype(np.float32)
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 20, 1.0)
    cv2.setRNGSeed(1)
    _, labels, centres = cv2.kmeans(levels, COLOURS, None, criteria, 1, cv2.KMEANS_PP_CENTERS)
    return cv2.medianBlur(centres[labels.ravel()].reshape(picture.shape).astype(np.uint8), 5)


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return poster(picture_of("astronaut"))


@pytest.mark.parametrize("name", NAMES)
def test_drawings_and_other_portraits_are_distinguished(name):
    share = measured(picture_of(name), name)
    assert share > 1.3 * FLAT_SHARE if name in DRAWN else share < 0.7 * FLAT_SHARE


def blurred(picture: np.ndarray) -> np.ndarray:
    return cv2.GaussianBlur(picture, (0, 0), 1.5)


def overexposed(picture: np.ndarray) -> np.ndarray:
    return np.clip(picture * 1.35, 0, 255).astype(np.uint8)


def dim(picture: np.ndarray) -> np.ndarray:
    return (picture * 0.4).astype(np.uint8)


def compressed(picture: np.ndarray) -> np.ndarray:
    return cv2.imdecode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 50])[1], cv2.IMREAD_COLOR)


@pytest.mark.parametrize("change", [blurred, overexposed, dim, compressed])
def test_a_poor_photograph_is_no_drawing(change):
    assert measured(change(picture_of("astronaut")), "astronaut") < 0.5 * FLAT_SHARE


def test_a_poster_is_a_drawing(drawn):
    assert is_drawing(drawn, measure_face(mesh_of("astronaut")), mesh_of("astronaut"))


def test_lines_on_white_paper_are_a_drawing():
    paper = np.full_like(picture_of("astronaut"), 255)
    for chain in (topo.FACE_OVAL, topo.MOUTH_UPPER_INNER, topo.LEFT_EYE_UPPER, topo.RIGHT_EYE_UPPER, topo.LEFT_BROW):
        cv2.polylines(paper, [np.rint(mesh_of("astronaut")[list(chain), :2]).astype(np.int32)], False, (0, 0, 0))
    assert measured(paper, "astronaut") > FLAT_SHARE


def test_a_drawn_mouth_has_flat_colours_and_no_teeth(drawn):
    renderer = PortraitRenderer(drawn, mesh_of("astronaut"))
    palette = renderer.rig.mouth.palette
    frame = renderer.render_frame(shape(jaw_open=1.0), STILL, STILL).astype(float)
    changed = (np.abs(frame - drawn).max(axis=-1) > 40) & (frame[..., 1] < 0.8 * frame[..., 0])
    rows, columns = np.nonzero(changed)
    middle = frame[int(np.median(rows)) - 8 : int(np.median(rows)) + 12, int(np.median(columns))]
    distance = [np.abs(middle - colour).max(axis=-1) for colour in (palette.cavity, palette.tongue)]
    assert (np.min(distance, axis=0) > 3.0).sum() <= 2  # the soft outline of the tongue
    np.testing.assert_array_equal(renderer.render_frame(shape(), STILL, STILL), drawn)


def test_lips_of_a_drawing_part_with_a_whole_line_on_both():
    """A rough line between closed lips is not torn into dashes: it runs along the edges of both lips, and is smooth."""
    mesh = mesh_of("astronaut") * np.float32(2)
    right, left = mesh[list(topo.MOUTH_CORNERS), :2]
    inner = [*topo.MOUTH_UPPER_INNER, *topo.MOUTH_LOWER_INNER]
    mesh[inner, 1] = np.interp(mesh[inner, 0], (right[0], left[0]), (right[1], left[1]))
    paper = np.full((1024, 1024, 3), (250, 225, 205), np.uint8)
    x = np.arange(right[0], left[0])
    y = np.interp(x, (right[0], left[0]), (right[1], left[1])) + 1.5 * np.sin(0.7 * x)
    cv2.polylines(paper, [np.rint(np.stack([x, y], axis=1)).astype(np.int32)], False, (90, 20, 30), 2)
    renderer = PortraitRenderer(paper, mesh)
    frame = renderer.render_frame(shape(jaw_open=0.7), STILL, STILL)
    middle, half = round((right[0] + left[0]) / 2), round(0.3 * (left[0] - right[0]))
    rows = slice(round(right[1]) - 30, round(right[1]) + 90)
    dark = (frame[rows, middle - half : middle + half].astype(int).sum(axis=-1) < 240).astype(int)
    runs = (np.diff(dark, axis=0) == 1).sum(axis=0)
    np.testing.assert_array_equal(runs, 2)
    columns = np.arange(2 * half)
    for edge in (np.argmax(dark, axis=0), len(dark) - np.argmax(dark[::-1], axis=0)):
        residual = edge - np.polyval(np.polyfit(columns, edge, 4), columns)
        assert residual.std() < 0.7


def test_a_drawn_opening_without_lips_closes_completely():
    mesh = mesh_of("astronaut") * np.float32(2)
    paper = np.full((1024, 1024, 3), (250, 225, 205), np.uint8)
    contour = np.concatenate([mesh[list(topo.MOUTH_UPPER_OUTER), :2], mesh[list(topo.MOUTH_LOWER_OUTER[::-1]), :2]])
    cv2.fillPoly(paper, [np.rint(contour).astype(np.int32)], (200, 80, 90))
    renderer = PortraitRenderer(paper, mesh)
    low, high = (mesh[topo.MOUTH_UPPER_OUTER[topo.MIDDLE], 1], mesh[topo.MOUTH_LOWER_OUTER[topo.MIDDLE], 1])
    assert renderer.rig.face.mouth.gap_px == pytest.approx(high - low, rel=0.1)
    closed, opened = (
        renderer.render_frame(shape(mouth_neutral=1.0, lips_closed=closed, jaw_open=0.4), STILL, STILL)
        for closed in (1.0, 0.0)
    )
    red = [(frame[..., 1] < 140).sum() for frame in (closed, paper, opened)]
    assert red[0] < 0.15 * red[1] < red[2]


def test_a_smile_uncovers_no_skin_inside_a_drawn_opening():
    mesh = mesh_of("astronaut") * np.float32(2)
    paper = np.full((1024, 1024, 3), (250, 225, 205), np.uint8)
    contour = np.concatenate([mesh[list(topo.MOUTH_UPPER_OUTER), :2], mesh[list(topo.MOUTH_LOWER_OUTER[::-1]), :2]])
    cv2.fillPoly(paper, [np.rint(contour).astype(np.int32)], (200, 80, 90))
    frame = PortraitRenderer(paper, mesh).render_frame(shape(smile=1.0), STILL, STILL)
    red = (frame[..., 1] < 140).astype(np.uint8)
    assert cv2.connectedComponents(red)[0] == 2
    assert cv2.connectedComponents(1 - red)[0] == 2
