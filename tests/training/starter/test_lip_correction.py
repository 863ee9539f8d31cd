"""The fit of LipCorrection, its share relative to the linear map, and its form in LipMotion."""

import numpy as np
import pytest
import torch

from sadtalker_ext.models.lip_motion import LipMotion, LipMotionConfig
from sadtalker_ext.training.starter import lip_correction
from sadtalker_ext.training.starter.lip_correction import (
    Batch,
    LeftOut,
    correction_loss,
    fit_correction,
    fit_shares,
    mix,
    predict_left_out,
)
from sadtalker_ext.training.starter.lip_motion import correct, regression_rows, tap_weights
from sadtalker_ext.training.starter.lip_regression import (
    Example,
    principal_directions,
    speaker_folds,
    sum_equations,
)

RNG = np.random.default_rng
CONFIG = LipMotionConfig(layers=(2, 3), width=6, slow_frames=3, members=2, units=8, mean_frames=1000)


def curved_examples(count=6, frames=300):
    """Recordings whose lips are the absolute value of a feature, which no linear map finds."""
    random, made = RNG(0), {}
    for number in range(count):
        raw = random.normal(size=(frames, 3))
        inputs = np.stack([np.convolve(column, np.ones(7) / 2.6, mode="same") for column in raw.T], axis=1)
        lips = np.stack([np.abs(inputs[:, 0]), np.abs(inputs[:, 1])], axis=1)
        made[f"clip{number}"] = Example(f"speaker{number}", inputs, lips, inputs=inputs)
    return made


def test_the_correction_finds_what_the_linear_map_cannot(monkeypatch):
    monkeypatch.setattr(lip_correction, "INPUT_DROPOUT", 0.0)
    for name, value in (("STEPS", 60), ("BATCH", 8), ("LEARNING_RATE", 0.02), ("DROPOUT", 0.0)):
        monkeypatch.setattr(lip_correction, name, value)
    *others, new = curved_examples(4).values()
    linear = new.rows @ sum_equations(others).solve()
    correction = fit_correction(others, CONFIG).predict(new.inputs)
    assert min(new.compare(correction)[:2]) > 0.85
    assert max(new.compare(linear)[:2]) < 0.3


def test_predictions_for_a_speaker_are_those_of_fits_without_it(monkeypatch):
    monkeypatch.setattr(lip_correction, "STEPS", 1)
    made = curved_examples(6, frames=60)
    predictions = predict_left_out(made, CONFIG, seed=3)
    for number, fold in enumerate(speaker_folds(made, seed=3)):
        others = [made[name] for name in made if name not in fold]
        network = fit_correction(others, CONFIG, number)
        for name in fold:
            expected = made[name].rows @ sum_equations(others).solve()
            np.testing.assert_allclose(predictions[name].linear, expected, atol=1e-9)
            np.testing.assert_array_equal(predictions[name].correction, network.predict(made[name].inputs))


def test_fits_of_one_seed_are_equal_and_leave_the_random_numbers_of_torch(monkeypatch):
    monkeypatch.setattr(lip_correction, "STEPS", 2)
    made = list(curved_examples(2).values())
    torch.manual_seed(5)
    before = torch.rand(3)
    torch.manual_seed(5)
    first, second = (fit_correction(made, CONFIG, 1).predict(made[0].inputs) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert torch.equal(torch.rand(3), before)
    assert not np.array_equal(fit_correction(made, CONFIG, 2).predict(made[0].inputs), first)


def test_frames_without_lips_do_not_count_in_the_loss():
    random = torch.Generator().manual_seed(3)
    outputs, targets = torch.randn(2, 40, 3, 2, generator=random), torch.randn(2, 40, 2, generator=random)
    valid = torch.ones(2, 40, 1)
    valid[:, 30:] = 0.0
    changed = targets.clone()
    changed[:, 30:] += 7.0
    short = Batch(torch.zeros(0), targets[:, :30], torch.ones(2, 30, 1))
    expected = correction_loss(outputs[:, :30], short)
    torch.testing.assert_close(correction_loss(outputs, Batch(torch.zeros(0), changed, valid)), expected)
    r = np.mean([
        np.corrcoef(outputs[clip, :30, member, output], targets[clip, :30, output])[0, 1]
        for clip in range(2) for member in range(3) for output in range(2)
    ])  # fmt: skip
    error = torch.nn.functional.smooth_l1_loss(outputs[:, :30], targets[:, :30, None].expand(-1, -1, 3, -1))
    assert float(expected) == pytest.approx(1.0 - r + lip_correction.ERROR_WEIGHT * float(error), abs=1e-5)


def test_shares_are_those_of_least_squares_and_keep_the_range_of_the_linear_map():
    random = RNG(2)
    made = {"a": Example("a", np.zeros((500, 1)), random.normal(size=(500, 2)))}
    targets = made["a"].targets()
    linear, correction = (targets + spread * random.normal(size=targets.shape) for spread in (1.0, 0.5))
    prediction = LeftOut(linear, correction)
    shares = fit_shares(made, {"a": prediction})
    np.testing.assert_allclose(mix(prediction, shares).std(axis=0), linear.std(axis=0))
    np.testing.assert_allclose(shares[1] / shares[0], 4.0, rtol=0.25)  # errors of a quarter of the variance
    useless = fit_shares(made, {"a": LeftOut(linear, -targets)})
    np.testing.assert_allclose(useless, [[1.0, 1.0], [0.0, 0.0]], atol=1e-9)


def test_the_shipped_form_gives_the_predictions_of_the_fit(monkeypatch):
    monkeypatch.setattr(lip_correction, "STEPS", 3)
    random = RNG(4)
    features = random.normal(size=(2, 80, 6))
    features -= features.mean(1, keepdims=True)  # of constant power, for which the running mean is this one
    directions = [principal_directions([part]) for part in features]
    rows, inputs = (
        regression_rows(list(features), directions, config)
        for config in (CONFIG, LipMotionConfig(layers=(2, 3), width=6, reach=0, slow_frames=3))
    )
    fitted = fit_correction([Example("a", rows, random.normal(size=(80, 2)), inputs=inputs)], CONFIG)
    shares, weights = np.array([0.3, 0.7]), random.normal(size=(rows.shape[1], 2))
    network = LipMotion(CONFIG).eval()
    network.taps.weight = torch.nn.Parameter(tap_weights(weights, directions, CONFIG))
    correct(network, fitted, shares, directions)
    joined = torch.from_numpy(np.concatenate(list(features), 1)[None]).float()
    with torch.inference_mode():
        outputs = network(joined, torch.ones(1, 80))[0].numpy()
    np.testing.assert_allclose(outputs, rows @ weights + shares * fitted.predict(inputs), atol=2e-3)
