"""Linear landmark models: the puppet on the mean face, and a face model file."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.io import savemat

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.puppet.basis import SHAPE_INDEX
from sadtalker_ext.puppet.expression_fields import JAW_DROP, LIP_DROP
from sadtalker_ext.training.sadtalker.landmark_loss import (
    EYES,
    FACE_PX,
    bfm_landmarks,
    blink_loss,
    landmark_loss,
    puppet_landmarks,
)


@pytest.fixture(scope="module")
def model():
    return puppet_landmarks()


def expression(*rows, **shapes):
    vector = torch.zeros(*rows, 64)
    for name, value in shapes.items():
        vector[..., SHAPE_INDEX[name]] = value
    return vector


def test_the_jaw_moves_the_lower_lip_and_the_chin(model):
    moved = model(expression(jaw_open=1.0)) - model.mean
    middle = JAW_DROP * FACE_PX
    assert float(moved[66, 1]) == pytest.approx(middle, rel=0.03)
    assert float(moved[8, 1]) == pytest.approx(middle, rel=0.15)
    assert moved[27:31].abs().max() < 0.01, "the bridge of the nose does not move"
    assert moved[36:48].abs().max() < 0.01, "the eyes do not move"
    assert float(moved[62, 1]) == pytest.approx(0, abs=0.05 * middle)


def test_closing_the_lips_cancels_the_opening_of_the_jaw(model):
    rest, opened = (float(model.lip_gap(expression(jaw_open=jaw))) for jaw in (0.0, 0.3))
    closed = float(model.lip_gap(expression(jaw_open=0.3, lips_closed=1.0)))
    assert opened - rest == pytest.approx(0.3 * JAW_DROP * FACE_PX, rel=0.05)
    assert closed < rest + 0.1 * (opened - rest)
    dropped = float(model.lip_gap(expression(lower_lip_drop=1.0)))
    assert dropped - rest == pytest.approx(LIP_DROP * FACE_PX, rel=0.1)


def test_eye_closing_is_relative_to_the_reference(model):
    rest = expression()
    for closing in (0.0, 0.25, 1.0):
        both = expression(blink_left=closing, blink_right=closing)
        assert float(model.eye_closing(both, rest)) == pytest.approx(closing, abs=1e-5)
    assert float(model.eye_closing(expression(blink_left=1.0), rest)) == pytest.approx(0.5, abs=1e-5)
    half, three_quarters = (expression(blink_left=value, blink_right=value) for value in (0.5, 0.75))
    assert float(model.eye_closing(three_quarters, half)) == pytest.approx(0.5, abs=1e-5)
    ratio = torch.tensor([[[0.0], [1.0]]])
    predicted = torch.stack([rest, half])[None]
    assert float(blink_loss(model, predicted, expression(1, 2), ratio)) == pytest.approx(0.25, abs=1e-5)


def test_the_landmark_loss_is_a_mean_square_in_pixels_without_the_eyes(model):
    target, predicted = expression(1, 3), expression(1, 3, smile=0.5, blink_left=1.0)
    shift = (model.basis[SHAPE_INDEX["smile"]] * 0.5).square().sum(dim=1)
    kept = [point for point in range(68) if point not in EYES]
    by_hand = float(shift[kept].sum()) / 56
    assert float(landmark_loss(model, predicted, target)) == pytest.approx(by_hand, rel=1e-5)


def face_model(path, **changes):
    random = np.random.default_rng(5)
    tables = {
        "meanshape": random.standard_normal((1, 3 * 200)),
        "exBase": random.standard_normal((3 * 200, 64)),
        "keypoints": random.permutation(200)[None, :68] + 1,
    }
    savemat(path, {name: value for name, value in {**tables, **changes}.items() if value is not None})
    return tables


def test_landmarks_of_a_face_model_file(tmp_path):
    path = tmp_path / "BFM_model_front.mat"
    tables = face_model(path)
    model = bfm_landmarks(path)
    coefficients = np.random.default_rng(1).standard_normal(64).astype(np.float32)
    shape = tables["meanshape"].reshape(-1, 3) + (tables["exBase"] @ coefficients).reshape(-1, 3)
    wanted = shape[tables["keypoints"][0] - 1] * 102.0 * np.array([1, -1, 1])
    ours = model(torch.from_numpy(coefficients)).numpy()
    np.testing.assert_allclose(ours - ours[30], wanted - wanted[30], rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"exBase": None}, "exBase"), ({"keypoints": np.arange(1, 60)[None]}, "has 59 landmarks")],
)
def test_other_files_are_refused(tmp_path, changes, message):
    path = tmp_path / "other.mat"
    face_model(path, **changes)
    with pytest.raises(WeightsError, match=message):
        bfm_landmarks(path)
    path.write_bytes(b"not a MATLAB file" * 20)
    with pytest.raises(WeightsError, match="cannot be read as a MATLAB file"):
        bfm_landmarks(path)
