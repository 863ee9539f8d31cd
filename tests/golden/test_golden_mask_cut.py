"""The comparison may move mask values across their cut only if they are within rounding of it."""

import golden_mask_cut
import numpy as np
import pytest
import torch
from golden_mask_cut import Rendering, settle
from golden_tools import Golden

from sadtalker_ext.models.dense_motion import MASK_FLOOR, DenseMotionConfig
from sadtalker_ext.models.generator import Generator, GeneratorConfig
from sadtalker_ext.models.spade import SpadeConfig

ALLOWED = 1e-5


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def rendering():
    """Two frames of a small renderer in float64, some of whose mask values are close to the cut."""
    torch.manual_seed(3)
    motion = DenseMotionConfig(5, 8, 2, 4, 8, levels=2, depth=4, kernel=3)
    decoder = SpadeConfig(middle_blocks=1, modulation_channels=8)
    config = GeneratorConfig(8, 32, depth=4, resblocks=1, motion=motion, decoder=decoder)
    network = Generator(config).double().eval()
    network.dense_motion_network.mask.weight.data *= 200
    portrait, source = torch.rand(1, 3, 64, 64).double(), torch.rand(1, 5, 3).double() - 0.5
    return Rendering(network, network.encode_source(portrait), source, torch.rand(2, 5, 3).double() - 0.5)


def golden_of(rendering, cells):
    """Return a golden of a rendering with these cells on the other side of the cut."""
    before = rendering.motion
    for cell in cells:
        rendering._move(cell)
    frames = rendering.frames().numpy()
    rendering.motion = before
    rendering.moved.clear()
    return Golden("generator_256", {"prediction": frames}, {"prediction": {"view": "full"}}, {})


def cells_by_distance(rendering):
    """Return the cells in order of distance from the cut, and all distances."""
    gaps = (rendering.motion.mask - MASK_FLOOR).abs()
    order = gaps.flatten().argsort()
    return [tuple(map(int, np.unravel_index(int(place), gaps.shape))) for place in order[:200]], gaps


def visible(rendering, cells):
    """Return those of the cells whose side makes a visible difference in the frames."""
    before = rendering.frames().numpy()
    return (
        cell for cell in cells if abs(golden_of(rendering, [cell]).stored["prediction"] - before).max() > 10 * ALLOWED
    )


def settled_gap(rendering, golden):
    found = settle(
        golden, lambda: {"prediction": rendering.frames()}, lambda index: (rendering, index[0]), lambda _: ALLOWED
    )
    return abs(found["prediction"].numpy() - golden.stored["prediction"]).max()


def test_moving_a_cell_equals_rendering_with_another_mask(rendering, monkeypatch):
    """The reference uses a floor on the other side of one cell."""
    cells, _ = cells_by_distance(rendering)
    mask = rendering.motion.mask
    cell, following = [cell for cell in cells if mask[cell] >= MASK_FLOOR][:2]
    network = rendering.network.dense_motion_network
    monkeypatch.setattr("sadtalker_ext.models.dense_motion.MASK_FLOOR", float(mask[cell] + mask[following]) / 2)
    wanted = network(rendering.encoded.compressed, rendering.source, rendering.driving).deformation
    assert not torch.allclose(rendering.motion.deformation, wanted, atol=1e-9)
    rendering._move(cell)
    assert torch.allclose(rendering.motion.deformation, wanted, atol=1e-12)


def test_cells_within_rounding_are_moved_to_the_side_they_have_in_the_golden(rendering, monkeypatch):
    cells, gaps = cells_by_distance(rendering)
    chosen = [next(visible(rendering, [cell for cell in cells if cell[0] == lane])) for lane in (0, 1)]
    monkeypatch.setattr(golden_mask_cut, "MASK_ROUNDING", max(float(gaps[cell]) for cell in chosen) * 1.01)
    golden = golden_of(rendering, chosen)
    assert abs(rendering.frames().numpy() - golden.stored["prediction"]).max() > 10 * ALLOWED
    assert settled_gap(rendering, golden) <= ALLOWED
    assert set(chosen) <= set(rendering.moved)


def test_a_cell_beyond_rounding_is_never_moved(rendering, monkeypatch):
    cells, gaps = cells_by_distance(rendering)
    cell = next(visible(rendering, cells[10:]))
    monkeypatch.setattr(golden_mask_cut, "MASK_ROUNDING", float(gaps[cell]) * 0.99)
    golden = golden_of(rendering, [cell])
    assert settled_gap(rendering, golden) > 10 * ALLOWED


def test_another_difference_is_not_hidden(rendering, monkeypatch):
    """Even with many doubtful cells, a renderer that is a little wrong is not brought within the tolerance."""
    cells, gaps = cells_by_distance(rendering)
    monkeypatch.setattr(golden_mask_cut, "MASK_ROUNDING", float(gaps[cells[30]]))
    golden = golden_of(rendering, [])
    rendering.network.decoder.conv_img.bias.data += 1e-3
    assert settled_gap(rendering, golden) > 10 * ALLOWED
