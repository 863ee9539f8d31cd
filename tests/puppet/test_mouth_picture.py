"""The picture of an open mouth: its size, its colours in the portrait's light, and its edges."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from puppet_portraits import NAMES, STILL, enlarged, mesh_of, picture_of, shape

from sadtalker_ext.puppet.expression_fields import FIELD_NAMES, LOWER, build_fields, field_weights
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.imaging import CpuImaging
from sadtalker_ext.puppet.mouth import Mouth, build_mouth
from sadtalker_ext.puppet.mouth_colours import estimate_palette
from sadtalker_ext.puppet.mouth_seam import dark_bands
from sadtalker_ext.puppet.pose import Pose
from sadtalker_ext.puppet.renderer import PortraitRenderer
from sadtalker_ext.puppet.strips import Palette
from sadtalker_ext.puppet.teeth import lower_teeth, upper_teeth
from sadtalker_ext.puppet.tongue import tongue

OPEN = shape(jaw_open=0.6)
LUMA = np.array([0.299, 0.587, 0.114])


@pytest.fixture(scope="module")
def face():
    return measure_face(mesh_of("astronaut"))


def corner_travel(face, excess_width: float, **coefficients: float) -> float:
    """Return how far the right corner moves outwards, in half mouth widths."""
    mouth = face.mouth
    weights = field_weights(shape(**coefficients)[None].astype(float), 0.06, 0.05, excess_width)[0]
    corner = mouth.axes.pixels(np.array([mouth.right_px]), mouth.lower(np.array([mouth.right_px])))
    moved = weights @ build_fields(face, corner[None])[LOWER, :, 0, 0]
    return float(moved @ mouth.axes.along) / mouth.right_px


def test_a_mouth_narrows_only_when_it_opens_wide(face):
    assert abs(corner_travel(face, 0.0, jaw_open=0.2)) < 0.02
    assert -0.25 < corner_travel(face, 0.0, jaw_open=1.0) < -0.08


def test_a_smile_is_reduced_when_the_jaw_opens(face):
    relaxed, broad = (corner_travel(face, excess, jaw_open=1.0) for excess in (0.0, 0.25))
    assert broad < relaxed - 0.05
    widened = [
        corner_travel(face, 0.0, jaw_open=jaw, smile=1.0) - corner_travel(face, 0.0, jaw_open=jaw) for jaw in (0, 1)
    ]
    assert 0.5 * widened[0] < widened[1] < 0.8 * widened[0]


def test_the_interior_is_as_bright_as_the_light_on_the_face(face):
    picture = picture_of("astronaut")
    bright = estimate_palette(picture, face, None)
    dim = estimate_palette((picture * 0.5).astype(np.uint8), face, None)
    for name in ("enamel", "gum", "tongue", "mucosa", "cavity"):
        ratio = (getattr(dim, name) @ LUMA) / (getattr(bright, name) @ LUMA)
        assert ratio == pytest.approx(0.5, abs=0.06), name
    levels = [getattr(bright, name) @ LUMA for name in ("cavity", "mucosa", "tongue", "enamel")]
    assert levels == sorted(levels)
    assert levels[0] > 0.1 * levels[-1]


DARKEST_LUMA = 14.0
"""Luma, 0 to 255, below which a pixel of a brightly lit mouth looks black."""


@pytest.mark.parametrize("smile", [0.0, 1.0])
def test_nothing_in_an_open_mouth_is_black(astronaut, smile):
    """Bright light reaches the throat, and no pixel at the corners is left uncovered."""
    frame = astronaut.render_frame(shape(jaw_open=1.0, upper_lip_raise=0.3, smile=smile), STILL, STILL)
    levels = frame[mouth_window()] @ LUMA
    assert DARKEST_LUMA < levels.min() < 40


def mouth_window() -> tuple[slice, slice]:
    corners = mesh_of("astronaut")[[61, 291], :2]
    left, right = int(corners[0, 0]), int(corners[1, 0])
    top = int(corners[:, 1].min())
    return slice(top - 10, top + 45), slice(left - 3, right + 4)


def test_dark_bands_have_the_height_that_was_drawn(face):
    mouth, unit = face.mouth, face.height_px
    closed = replace(face, mouth=replace(mouth, lower=mouth.upper, gap_px=0.0))
    rows, columns = np.mgrid[:512, :512]
    t, v = mouth.axes.local(np.stack([columns, rows], axis=-1).astype(float))
    below_px = v - mouth.upper(t)
    plain = np.full((512, 512, 3), 150, np.uint8)
    assert dark_bands(plain, closed) == (0.0, 0.0)
    for height_px in (0.6, 1.2):
        drawn = np.where((np.abs(below_px) < height_px)[..., None], 40, plain).astype(np.uint8)
        for found in dark_bands(drawn, closed):
            assert found * unit == pytest.approx(height_px, abs=0.5)


@pytest.mark.parametrize("name", NAMES)
def test_closed_lips_show_no_interior(make_renderer, name):
    """The interior of a closed mouth may have any colour: nothing of it is seen at p, b and m."""
    renderer = make_renderer(name)
    closed = shape(lips_closed=1.0, jaw_open=0.15, mouth_neutral=1.0)
    frame = renderer.render_frame(closed, STILL, STILL)
    rig = renderer.rig
    green = Palette(**{field.name: np.float32([0, 255, 0]) for field in fields(Palette)})
    shown = PortraitRenderer.__new__(PortraitRenderer)
    shown.__dict__.update(renderer.__dict__, rig=replace(rig, mouth=recoloured(rig.mouth, green)))
    np.testing.assert_array_equal(shown.render_frame(closed, STILL, STILL), frame)
    assert (shown.render_frame(OPEN, STILL, STILL) != renderer.render_frame(OPEN, STILL, STILL)).any()


def recoloured(mouth: Mouth, palette: Palette) -> Mouth:
    """Return the mouth with every part of its interior in the colours of ``palette``."""
    imaging = CpuImaging()
    strips = {"upper_teeth": upper_teeth, "lower_teeth": lower_teeth, "tongue": tongue}
    painted = {name: paint(palette) for name, paint in strips.items()}
    textures = {
        name: imaging.texture(strip.image, origin=(0.0, strip.top), scale=1.0) for name, strip in painted.items()
    }
    return replace(mouth, palette=palette, visible_teeth=0.0, **textures)


def test_lips_surround_a_wide_mouth(make_renderer):
    """The border of a wide opening is red at its sides too, where the portrait's lips are thin."""
    renderer = make_renderer("astronaut")
    rig = renderer.rig
    red = Palette(**{field.name: np.float32([255, 0, 0]) for field in fields(Palette)})
    skin = replace(red, rim=rig.mouth.palette.rim)
    wide = shape(jaw_open=1.0, upper_lip_raise=0.3)
    frames = []
    for palette in (red, skin):
        shown = PortraitRenderer.__new__(PortraitRenderer)
        shown.__dict__.update(renderer.__dict__, rig=replace(rig, mouth=recoloured(rig.mouth, palette)))
        frames.append(shown.render_frame(wide, STILL, STILL)[mouth_window()].astype(int))
    rim = np.abs(frames[0] - frames[1]).sum(axis=-1) > 60
    middle = rim.shape[1] // 2
    for side in (rim[:, :middle], rim[:, middle:]):
        rows = np.flatnonzero(side.any(axis=1))
        assert len(rows) > 15
        assert side[rows].sum(axis=1).max() < 8
    assert not rim[:, middle - 2 : middle + 3].any()


def test_the_inner_side_of_the_lips_is_an_even_band_darker_than_the_gums(make_renderer):
    """A thin, light one was a dotted outline at the sides of wide mouths."""
    renderer = make_renderer("astronaut")
    black = Palette(**{field.name: np.zeros(3, np.float32) for field in fields(Palette)})
    frames = []
    for palette in (black, replace(black, rim=np.full(3, 200.0, np.float32))):
        shown = PortraitRenderer.__new__(PortraitRenderer)
        shown.__dict__.update(
            renderer.__dict__, rig=replace(renderer.rig, mouth=recoloured(renderer.rig.mouth, palette))
        )
        frames.append(shown.render_frame(shape(jaw_open=1.0, upper_lip_raise=0.3), STILL, STILL)[mouth_window()])
    share = (frames[1].astype(float) - frames[0]).mean(axis=-1) / 200.0
    for side in np.array_split(share, 2, axis=1):
        rows = np.flatnonzero(side.max(axis=1) > 0.3)
        assert np.mean(side[rows[0] : rows[-1] + 1].max(axis=1) > 0.3) > 0.9
    palette = renderer.rig.mouth.palette
    assert palette.cavity.mean() < palette.rim.mean() < palette.gum.mean()


def test_between_parted_lips_is_the_interior_up_to_the_corners():
    """What a lip has beyond its edge is not seen: it was a light speck in the corners of wide mouths."""
    renderer = PortraitRenderer(enlarged("astronaut", 3), 3.0 * mesh_of("astronaut"))
    window = tuple(slice(3 * part.start, 3 * part.stop) for part in mouth_window())
    motion = shape(jaw_open=1.0, upper_lip_raise=0.3)
    columns, rows = np.meshgrid(*(np.arange(part.start, part.stop, dtype=np.float32) for part in window[::-1]))
    maps = Pose(renderer.rig, motion, STILL, STILL).mouth_maps(np.stack([columns, rows], axis=-1))
    between = np.minimum(maps.from_upper_lip, -maps.from_lower_lip) > renderer.rig.mouth.edge
    frames = []
    for level in (0.0, 255.0):
        palette = Palette(**{field.name: np.full(3, level, np.float32) for field in fields(Palette)})
        shown = PortraitRenderer.__new__(PortraitRenderer)
        rig = replace(renderer.rig, mouth=recoloured(renderer.rig.mouth, palette))
        shown.__dict__.update(renderer.__dict__, rig=rig)
        frames.append(shown.render_frame(motion, STILL, STILL)[window].astype(float).mean(axis=-1))
    assert between.sum() > 5000
    assert (frames[1] - frames[0])[between].min() > 60.0


FACE_HEIGHT_MM = 185.0
"""Length of an average adult face from hairline to chin."""


def test_parted_lips_show_as_much_of_the_teeth_as_real_ones(make_renderer):
    """Vig and Brundo (1978): 1.9 mm of the upper incisors in men, 3.4 mm in women; a raised lip shows more of them."""
    renderer = make_renderer("astronaut")
    face = renderer.rig.face
    lips = replace(face, mouth=replace(face.mouth, gap_px=0.0))
    closed = build_mouth(np.full((512, 512, 3), 128, np.uint8), lips, CpuImaging())
    black = Palette(**{field.name: np.zeros(3, np.float32) for field in fields(Palette)})
    white = replace(black, enamel=np.full(3, 255.0, np.float32))
    heights_mm = []
    for raised in (0.0, 1.0):
        frames = []
        for palette in (black, white):
            interior = replace(recoloured(closed, palette), lower_teeth=recoloured(closed, black).lower_teeth)
            shown = PortraitRenderer.__new__(PortraitRenderer)
            shown.__dict__.update(renderer.__dict__, rig=replace(renderer.rig, mouth=interior))
            motion = shape(jaw_open=0.6, mouth_neutral=1.0, upper_lip_raise=raised)
            frames.append(shown.render_frame(motion, STILL, STILL)[mouth_window()].astype(float).mean(axis=-1))
        column = (frames[1] - frames[0])[:, frames[0].shape[1] // 2 - 2 : frames[0].shape[1] // 2 + 3].mean(axis=1)
        heights_mm.append(column.sum() / column.max() / face.height_px * FACE_HEIGHT_MM)
    assert 1.9 < heights_mm[0] < 3.4
    assert heights_mm[1] > heights_mm[0] + 2.0


LOWER_CROWN_MM = 9.0
"""Length of the crown of a lower central incisor (Wheeler's Dental Anatomy)."""


def test_a_lowered_lip_bares_half_of_the_lower_teeth_at_most(astronaut):
    """The jaw drops with a lip that is lowered far, so that the lower teeth do not stand high in the mouth."""
    bared_mm = []
    for lowered in (0.0, 0.3, 0.6, 1.0):
        pose = Pose(astronaut.rig, shape(jaw_open=0.15, lower_lip_drop=lowered), STILL, STILL)
        weight = dict(zip(FIELD_NAMES, pose.weights.tolist(), strict=True))
        lip = weight["jaw"] + weight["part_lower"]
        bared_mm.append((lip - pose.mouth_state().jaw) * FACE_HEIGHT_MM)
    assert bared_mm == sorted(bared_mm)
    assert bared_mm[0] < 0.3
    assert 1.0 < bared_mm[1] < bared_mm[3] < 0.5 * LOWER_CROWN_MM


def test_smiling_lips_shade_the_teeth_less(make_renderer):
    """A smile draws the lips back to the teeth, which light then reaches in a narrow gap too."""
    renderer = make_renderer("astronaut")
    black = Palette(**{field.name: np.zeros(3, np.float32) for field in fields(Palette)})
    brightest = []
    for smile in (0.0, 1.0):
        frames = []
        for palette in (black, replace(black, enamel=np.full(3, 255.0, np.float32))):
            shown = PortraitRenderer.__new__(PortraitRenderer)
            rig = replace(renderer.rig, mouth=recoloured(renderer.rig.mouth, palette))
            shown.__dict__.update(renderer.__dict__, rig=rig)
            motion = shape(jaw_open=0.2, mouth_neutral=1.0, smile=smile)
            frames.append(shown.render_frame(motion, STILL, STILL)[mouth_window()].astype(float).mean(axis=-1))
        brightest.append(np.percentile(frames[1] - frames[0], 99))
    assert 1.1 * brightest[0] < brightest[1] <= 255.0


def test_teeth_on_a_tucked_lip_are_in_the_light(make_renderer):
    """In f and v the lips leave the teeth uncovered, which are nearly as bright as in a smile."""
    renderer = make_renderer("astronaut")
    black = Palette(**{field.name: np.zeros(3, np.float32) for field in fields(Palette)})
    brightest = []
    tucked = shape(lip_tuck=0.9, jaw_open=0.15, upper_lip_raise=0.2, mouth_neutral=1.0)
    for motion in (tucked, shape(smile=1.0, jaw_open=0.2, mouth_neutral=1.0)):
        frames = []
        for palette in (black, replace(black, enamel=np.full(3, 255.0, np.float32))):
            shown = PortraitRenderer.__new__(PortraitRenderer)
            rig = replace(renderer.rig, mouth=recoloured(renderer.rig.mouth, palette))
            shown.__dict__.update(renderer.__dict__, rig=rig)
            frames.append(shown.render_frame(motion, STILL, STILL)[mouth_window()].astype(float).mean(axis=-1))
        brightest.append(np.percentile(frames[1] - frames[0], 99))
    assert 0.8 * brightest[1] < brightest[0] <= 255.0
