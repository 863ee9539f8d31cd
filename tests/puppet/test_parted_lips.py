"""Lips that part: their edges are where the skin moves them, lit, and little light falls through a narrow gap."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest
from puppet_portraits import STILL, enlarged, mesh_of, shape

from sadtalker_ext.puppet import topology as topo
from sadtalker_ext.puppet.face_geometry import measure_face
from sadtalker_ext.puppet.imaging import CpuImaging
from sadtalker_ext.puppet.renderer import PortraitRenderer
from sadtalker_ext.puppet.strips import Palette, Strip
from sadtalker_ext.puppet.teeth import lower_teeth, upper_teeth
from sadtalker_ext.puppet.tongue import tongue

LIP, DARK, INSIDE = (180, 110, 110), (40, 20, 20), (0, 255, 0)
SCALE = 3
"""The astronaut's face is small; enlarged, a pixel is 0.003 face heights."""
SHADOW = 0.009
"""Height of the drawn shadow on each lip, in face heights."""


def closed_mesh() -> np.ndarray:
    """Return the enlarged astronaut's mesh with the lower edge of the gap on the upper one."""
    mesh = mesh_of("astronaut") * SCALE
    mesh[list(topo.MOUTH_LOWER_INNER)] = mesh[list(topo.MOUTH_UPPER_INNER)]
    return mesh


def portrait_with_shadow() -> np.ndarray:
    """Return the enlarged astronaut with a mouth in the colour of lips and a shadow along its seam."""
    picture = enlarged("astronaut", SCALE)
    face = measure_face(closed_mesh())
    rows, columns = np.mgrid[: len(picture), : picture.shape[1]].astype(float)
    t, v = face.mouth.axes.local(np.stack([columns, rows], axis=-1))
    around = (np.abs(face.mouth.normalised(t)) < 1.2) & (np.abs(v) < 0.12 * face.height_px)
    picture[around] = LIP
    picture[around & (np.abs(v - face.mouth.upper(t)) < SHADOW * face.height_px)] = DARK
    return picture


def strip_of(strip: Strip) -> tuple[np.ndarray, tuple[float, float], float]:
    """Return the arguments of a texture for ``strip``."""
    return strip.image, (0.0, strip.top), 1.0


def with_interior(renderer: PortraitRenderer, colour: tuple[int, int, int]) -> PortraitRenderer:
    """Return the renderer with an interior of one colour and without shadows in it."""
    palette = Palette(**{field.name: np.float32(colour) for field in fields(Palette)})
    painted = {"upper_teeth": upper_teeth, "lower_teeth": lower_teeth, "tongue": tongue}
    strips = {name: paint(palette) for name, paint in painted.items()}
    textures = {n: CpuImaging().texture(*strip_of(s)) for n, s in strips.items()}
    mouth = replace(renderer.rig.mouth, palette=palette, visible_teeth=0.0, **textures)
    shown = PortraitRenderer.__new__(PortraitRenderer)
    shown.__dict__.update(renderer.__dict__, rig=replace(renderer.rig, mouth=mouth))
    return shown


@pytest.fixture(scope="module")
def renderer() -> PortraitRenderer:
    found = PortraitRenderer(portrait_with_shadow(), closed_mesh())
    assert min(found.rig.mouth.dark_bands) == pytest.approx(SHADOW, abs=0.003)
    return with_interior(found, INSIDE)


def column_of(frame: np.ndarray, renderer: PortraitRenderer, u: float = 0.0) -> np.ndarray:
    """Return the pixels (N, 3) below the nose to the chin, at u half mouth widths from the middle of the mouth."""
    face = renderer.rig.face
    v = np.arange(-0.08, 0.2, 1.0 / face.height_px) * face.height_px
    rows = np.rint(face.mouth.axes.pixels(np.full_like(v, u * face.mouth.right_px), v)).astype(int)
    return frame[rows[:, 1], rows[:, 0]].astype(float)


@pytest.mark.parametrize("jaw", [0.2, 0.35, 0.6])
def test_the_gap_is_as_high_as_the_lips_part(renderer, jaw):
    """The shadow that closed lips have does not add to the opening: its height is that of the moved skin."""
    column = column_of(renderer.render_frame(shape(jaw_open=jaw), STILL, STILL), renderer)
    green = (column[:, 1] > column[:, 0] + 20).sum()
    assert green == pytest.approx(0.17 * jaw * renderer.rig.face.height_px, abs=1.6)


@pytest.mark.parametrize("jaw", [0.35, 0.6])
def test_parted_lips_have_lost_the_shadow_of_the_seam(renderer, jaw):
    column = column_of(renderer.render_frame(shape(jaw_open=jaw), STILL, STILL), renderer)
    lips = column[column[:, 1] < column[:, 0] - 20]
    assert lips.sum(axis=1).min() > 0.6 * sum(LIP)


def test_a_narrow_gap_is_darker_than_a_wide_one(renderer):
    white = with_interior(renderer, (230, 230, 230))
    levels = []
    for jaw in (0.15, 0.3, 0.7):
        column = column_of(white.render_frame(shape(jaw_open=jaw), STILL, STILL), renderer)
        inside = np.abs(column[:, 0] - column[:, 1]) < 12
        levels.append(np.median(column[inside]))
    assert levels[0] < 0.85 * levels[1] < 0.85 * levels[2]


@pytest.fixture(scope="module")
def white_teeth(renderer) -> PortraitRenderer:
    """Return the renderer with white upper teeth in a black mouth."""
    black = Palette(**{field.name: np.zeros(3, np.float32) for field in fields(Palette)})
    teeth = CpuImaging().texture(*strip_of(upper_teeth(replace(black, enamel=np.full(3, 255.0, np.float32)))))
    empty = CpuImaging().texture(*strip_of(tongue(black)))
    mouth = replace(renderer.rig.mouth, upper_teeth=teeth, lower_teeth=empty, tongue=empty, palette=black)
    shown = PortraitRenderer.__new__(PortraitRenderer)
    shown.__dict__.update(renderer.__dict__, rig=replace(renderer.rig, mouth=mouth))
    return shown


def test_wide_mouths_show_more_of_the_upper_teeth(white_teeth):
    """The teeth of a mouth that opens as far as it can are no thin strip: 5 mm and more in a face of 185 mm."""
    heights_mm = []
    for jaw in (0.4, 1.0):
        column = column_of(white_teeth.render_frame(shape(jaw_open=jaw), STILL, STILL), white_teeth)
        white = (column.min(axis=1) > 120) & (np.ptp(column, axis=1) < 20)
        heights_mm.append(white.sum() / white_teeth.rig.face.height_px * 185.0)
    assert heights_mm[0] < 3.4
    assert heights_mm[1] > max(heights_mm[0] + 2.0, 4.5)


def test_side_teeth_are_light_in_smiles(white_teeth):
    """The cheeks of a smile let light fall on the side teeth; the mouth corners stay dark."""
    frame = white_teeth.render_frame(shape(jaw_open=0.3, smile=1.0), STILL, STILL)
    columns = [column_of(frame, white_teeth, u) for u in (0.0, 0.65, 0.95)]
    middle, side, corner = (column[np.ptp(column, axis=1) < 12].max() for column in columns)
    assert side > 0.85 * middle
    assert corner < 0.6 * middle
