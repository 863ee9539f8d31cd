"""Image metrics against their definitions and values of a published implementation."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.errors import MediaError
from sadtalker_ext.metrics import image
from sadtalker_ext.weights.random_weights import normal

CPBD_BY_REFERENCE = {
    ("astronaut", 0.0): 0.35106013, ("astronaut", 0.7): 0.16595925, ("astronaut", 1.0): 0.06512087,
    ("astronaut", 2.0): 0.008, ("coffee", 0.0): 0.62909633, ("coffee", 0.7): 0.40349819, ("coffee", 1.0): 0.21412964,
    ("rocket", 0.0): 0.91819401, ("rocket", 0.7): 0.81521739, ("chelsea", 0.0): 0.53930215,
    ("chelsea", 1.0): 0.20496048,
}  # fmt: skip
"""Values of the package cpbd 1.0.7, a port of the authors' code, for 256 x 256 crops blurred by OpenCV."""
FRECHET_BY_REFERENCE = json.loads(
    (Path(__file__).parents[1] / "models" / "measure_networks.json").read_text(encoding="utf-8")
)["frechet"]
"""Values of pytorch-fid for seeded features, by the number of results, references and features."""


def crop(name: str, blur_px: float = 0.0) -> np.ndarray:
    from skimage import data

    picture = getattr(data, name)()[:256, :256]
    return cv2.GaussianBlur(picture, (0, 0), blur_px) if blur_px else picture


@pytest.mark.parametrize(("name", "blur_px"), list(CPBD_BY_REFERENCE))
def test_cpbd_agrees_with_the_published_implementation(name: str, blur_px: float):
    assert image.cpbd(crop(name, blur_px)) == pytest.approx(CPBD_BY_REFERENCE[name, blur_px], abs=1e-7)


def test_cpbd_falls_with_blur_and_is_zero_without_edges():
    values = [image.cpbd(crop("astronaut", blur)) for blur in (0.0, 0.5, 0.8, 1.2, 2.0)]
    assert values == sorted(values, reverse=True)
    assert values[0] > values[-1]
    assert image.cpbd(np.full((128, 128, 3), 90, np.uint8)) == 0
    assert image.cpbd(np.zeros((20, 20, 3), np.uint8)) == 0


@pytest.mark.parametrize("ramp_px", [4, 6, 10])
def test_edge_width_of_a_ramp_is_its_length(ramp_px: int):
    ramp = 120 - 100 * np.cos(np.pi * np.arange(1, ramp_px) / ramp_px)
    row = np.concatenate([np.full(30, 20.0), ramp, np.full(30, 220.0)])
    for picture in (np.tile(row, (40, 1)), np.tile(row[::-1], (40, 1))):
        widths = image._edge_widths(picture)
        found = widths[5:-5][widths[5:-5] > 0]
        assert len(found)
        assert np.all(np.abs(found - ramp_px) <= 2)


def test_psnr_of_known_noise_and_of_equal_pictures():
    grey = np.full((64, 64, 3), 100, np.uint8)
    assert image.psnr_db(grey + 5, grey) == pytest.approx(10 * np.log10(255**2 / 25))
    assert image.psnr_db(grey, grey) == float("inf")


def test_ssim_is_one_for_equal_pictures_and_falls_with_noise():
    picture = crop("astronaut")
    rng = np.random.default_rng(0)
    noisy = [np.clip(picture + rng.normal(0, s, picture.shape), 0, 255).astype(np.uint8) for s in (5, 20)]
    assert image.ssim(picture, picture) == pytest.approx(1.0)
    assert 1.0 > image.ssim(noisy[0], picture) > image.ssim(noisy[1], picture) > 0


def test_pictures_of_different_sizes_are_refused():
    with pytest.raises(MediaError, match="30 x 20 pixels, but the reference has 20 x 20"):
        image.psnr_db(np.zeros((20, 30, 3), np.uint8), np.zeros((20, 20, 3), np.uint8))


def test_frechet_distance_of_gaussians():
    rng = np.random.default_rng(0)
    first = rng.normal(0, 1.0, (20000, 4))
    second = rng.normal(0, 2.0, (20000, 4)) + np.array([3.0, 0, 0, 0])
    assert image.frechet_distance(first, first) == pytest.approx(0.0, abs=1e-6)
    assert image.frechet_distance(first, second) == pytest.approx(9.0 + 4 * (1 - 2) ** 2, rel=0.03)


@pytest.mark.parametrize("sizes", list(FRECHET_BY_REFERENCE))
def test_frechet_distance_equals_pytorch_fid(sizes: str):
    results, references, features = map(int, sizes.split(","))
    first = normal(f"result{results}", (results, features))
    second = 1.5 * normal(f"reference{references}", (references, features)) + 0.3
    assert image.frechet_distance(first, second) == pytest.approx(FRECHET_BY_REFERENCE[sizes], rel=1e-6)


def test_mean_cosine():
    vectors, source = np.array([[2.0, 0.0], [0.0, 3.0]]), np.array([4.0, 0.0])
    assert image.mean_cosine(vectors, source) == pytest.approx(0.5)


def test_luma_is_that_of_pillow():
    picture = np.random.default_rng(0).integers(0, 256, (60, 70, 3)).astype(np.uint8)
    np.testing.assert_array_equal(image.luma(picture), np.asarray(Image.fromarray(picture).convert("L"), float))
