"""Person segmentation: correct on a photograph, sharp at the edges of the picture."""

import cv2
import numpy as np

from sadtalker_ext.faces.person_mask import guided_filter, segment_person
from sadtalker_ext.geometry.landmarks import FaceBox

FACE = FaceBox(180, 68, 92, 111)


def test_astronaut_is_segmented(astronaut):
    matte = segment_person(astronaut, FACE)
    assert matte.shape == (512, 512)
    assert matte.dtype == np.float32
    assert matte.min() >= 0.0
    assert matte.max() <= 1.0
    assert matte[80:170, 195:255].min() > 0.9, "face"
    assert matte[330:480, 150:250].mean() > 0.97, "suit"
    assert matte[10:120, 20:120].max() < 0.03, "flag behind"
    assert matte[20:180, 330:480].mean() < 0.03, "shuttle behind"


def test_small_person_is_segmented_in_a_crop(astronaut):
    side = 256
    scene = np.repeat(np.linspace(60, 180, 2000, dtype=np.float32)[None, :, None], 1500, axis=0)
    scene = np.repeat(scene, 3, axis=2).astype(np.uint8)
    scene[900 : 900 + side, 1200 : 1200 + side] = cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_AREA)
    face = FaceBox(1200 + FACE.x / 2, 900 + FACE.y / 2, FACE.width / 2, FACE.height / 2)
    truth = cv2.resize(segment_person(astronaut, FACE), (side, side), interpolation=cv2.INTER_AREA)
    head = np.s_[10:110, 70:160]
    far = segment_person(scene)[900 : 900 + side, 1200 : 1200 + side]
    near = segment_person(scene, face)[900 : 900 + side, 1200 : 1200 + side]
    error = [float(np.abs(matte[head] - truth[head]).mean()) for matte in (far, near)]
    assert error[1] < 0.05
    assert error[1] < 0.7 * error[0]


def test_guided_filter_matches_its_definition():
    rng = np.random.default_rng(0)
    guide = cv2.GaussianBlur(rng.integers(0, 256, (60, 70, 3)).astype(np.uint8), (0, 0), 2)
    coarse = cv2.GaussianBlur(rng.random((60, 70)).astype(np.float32), (0, 0), 4) * 4 - 1.5
    coarse = np.clip(coarse, 0, 1)
    radius, smoothness = 3, 1e-3

    def mean(values):
        return cv2.blur(values, (2 * radius + 1, 2 * radius + 1))

    colour, matte = guide.astype(np.float64) / 255, coarse.astype(np.float64)
    slope = np.empty_like(colour)
    spread = np.empty((*matte.shape, 3, 3))
    for i in range(3):
        for j in range(3):
            spread[..., i, j] = mean(colour[..., i] * colour[..., j]) - mean(colour[..., i]) * mean(colour[..., j])
        slope[..., i] = mean(colour[..., i] * matte) - mean(colour[..., i]) * mean(matte)
    slope = np.linalg.solve(spread + smoothness * np.eye(3), slope[..., None])[..., 0]
    offset = mean(matte) - (slope * mean(colour)).sum(-1)
    wanted = np.clip((mean(slope) * colour).sum(-1) + mean(offset), 0, 1)
    np.testing.assert_allclose(guided_filter(guide, coarse, radius, smoothness), wanted, atol=1e-4)


def test_guided_filter_sharpens_a_blurred_step_at_the_edge():
    guide = np.zeros((80, 80, 3), np.uint8)
    guide[:, 40:] = 200
    truth = (guide[..., 0] > 0).astype(np.float32)
    coarse = cv2.GaussianBlur(truth, (0, 0), 5)
    step_before, step_after = (matte[:, 40] - matte[:, 39] for matte in (coarse, guided_filter(guide, coarse, 8, 1e-4)))
    assert step_before.max() < 0.1
    assert step_after[8:-8].min() > 0.4
