"""Openings and widths of a portrait's lips that the face tracker measures in rendered frames."""

import numpy as np
import pytest
from skimage.data import astronaut

from sadtalker_ext.engines.starter.engine import StarterEngine
from sadtalker_ext.engines.starter.lip_calibration import PROBED_OPENINGS, PROBED_WIDTHS, WIDTH_SHARES, calibrate_lips
from sadtalker_ext.engines.starter.lip_response import COMPENSATED_RISE, LipResponse, TrackedOpenings
from sadtalker_ext.faces.find import find_faces, track_faces
from sadtalker_ext.geometry.measures import mouth_opening, mouth_width
from sadtalker_ext.geometry.motion import Motion
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.metrics import sync
from sadtalker_ext.puppet.basis import MOUTH_SHAPES, SHAPE_INDEX, SHAPES
from sadtalker_ext.runtime import Runtime

PROBES = len(PROBED_OPENINGS) * len(PROBED_WIDTHS)


@pytest.fixture(scope="module")
def portrait():
    face = find_faces(astronaut())[0]
    return Portrait(astronaut(), face, np.ones(astronaut().shape[:2], np.float32))


@pytest.fixture(scope="module")
def engine(portrait):
    engine = StarterEngine(Runtime(device="cpu"))
    engine.read_face(portrait)
    yield engine
    engine.close()


def render(engine, portrait, mouth):
    """Return the frames of mouth coefficients (N, 8)."""
    expression = np.zeros((len(mouth), len(SHAPES)), np.float32)
    expression[:, : len(MOUTH_SHAPES)] = mouth
    expression[:, SHAPE_INDEX["mouth_neutral"]] = 1.0
    still = np.zeros((len(mouth), 3), np.float32)
    return engine.render(portrait, engine.neutral_motion(), Motion(expression, still, still))


def test_tracker_sees_the_openings_of_a_smiling_mouth(engine, portrait):
    """Without the measurement, openings from 0.08 to 0.13 of this portrait are seen as 0.083 to 0.1."""
    asked = np.float32([0.03, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16])
    errors = []
    for response in (engine._response, LipResponse(engine._response.jaw_opening, engine._response.excess_width)):
        widths = np.ones(len(asked), np.float32)
        mouth = np.zeros((len(asked), len(MOUTH_SHAPES)), np.float32)
        mouth = sync.with_opening(mouth, response.opening_for(asked, widths))
        mouth = sync.with_width(mouth, widths, response.excess_width)
        seen = np.array([mouth_opening(face) for face in track_faces(render(engine, portrait, mouth))])
        errors.append(np.abs(seen - asked).mean())
    assert errors[0] < 0.01
    assert errors[0] < 0.7 * errors[1]


def test_tracker_sees_changes_of_the_width(engine, portrait):
    """Without the measurement, two thirds of the changes are seen in this portrait."""
    asked = np.float32([0.95, 1.05])
    changes = []
    for response in (engine._response, LipResponse(engine._response.jaw_opening, engine._response.excess_width)):
        mouth = sync.with_opening(np.zeros((len(asked), len(MOUTH_SHAPES)), np.float32), np.float32([0.25, 0.25]))
        mouth = sync.with_width(mouth, response.width_for(asked), response.excess_width)
        widths = [mouth_width(face) for face in track_faces(render(engine, portrait, mouth))]
        changes.append((widths[1] / widths[0] - 1.0) / 0.105)
    assert changes[0] == pytest.approx(1.0, abs=0.2)
    assert changes[1] < 0.8


def test_a_portrait_is_measured_once(engine, portrait, monkeypatch):
    first = engine._response
    assert first.openings is not None
    monkeypatch.setattr(StarterEngine, "_frames", None)
    engine.read_face(portrait)
    assert engine._response is first


def test_openings_are_inverted_at_every_width():
    commanded = np.linspace(0.0, 1.0, 11, dtype=np.float32)
    table = TrackedOpenings(commanded, np.float32([0.9, 1.1]), np.stack([0.3 * commanded**2, 0.2 * commanded]))
    response = LipResponse(openings=table)
    asked = np.float32([0.075, 0.1, 0.1, 0.3])
    opening = response.opening_for(asked, np.float32([0.8, 1.2, 1.0, 0.9]))
    np.testing.assert_allclose(opening[[0, 1, 3]], [0.5, 0.5, 1.0], atol=1e-6)
    middle = np.interp(0.1, table.seen[0], commanded)
    assert opening[2] == pytest.approx((middle + 0.5) / 2.0, abs=1e-6)


@pytest.fixture
def calibrate(monkeypatch):
    """Return calibrate(response, see_opening, see_width), which shows these functions of opening and width."""

    def run(response, see_opening, see_width=lambda opening, width: width):
        probed = []

        def render(mouth):
            probed.extend(zip(sync.mouth_opening(mouth), sync.mouth_width(mouth), strict=True))
            return iter(range(len(mouth)))

        monkeypatch.setattr("sadtalker_ext.faces.mesh_provider.follow_each", lambda frames, mesh: frames)
        measures = "sadtalker_ext.geometry.measures"
        monkeypatch.setattr(f"{measures}.mouth_opening", lambda frame: see_opening(*probed[frame]))
        monkeypatch.setattr(f"{measures}.mouth_width", lambda frame: see_width(*probed[frame]))
        calibrated = calibrate_lips(response, np.zeros((478, 3), np.float32), render)
        assert len(probed) == PROBES
        return calibrated

    return run


@pytest.mark.parametrize(("seen", "kept"), [(0.9, False), (0.2, True)])
def test_lips_that_the_tracker_does_not_follow_are_computed(calibrate, seen, kept):
    """seen: share of the computed opening that is tracked, 0.2 as in some drawings."""
    response = LipResponse(0.3)
    calibrated = calibrate(response, lambda opening, width: seen * 0.3 * opening)
    assert (calibrated == response) == kept
    if not kept:
        assert np.all(np.diff(calibrated.openings.seen) > 0.0)
        opening = calibrated.opening_for(np.float32([0.135]))
        assert opening[0] == pytest.approx(0.5, abs=0.02)


def test_openings_are_seen_alike_at_every_width(calibrate):
    """The tracker of this test sees narrow mouths farther open, as with some portraits, closed ones too."""

    def see(opening, width):
        return 0.3 * opening - 0.1 * (width - 1.0)

    calibrated = calibrate(LipResponse(0.3), see)
    widths = np.float32([0.9, 0.95, 1.0, 1.05, 1.1])
    for asked in (0.04, 0.1, 0.2):
        opening = calibrated.opening_for(np.full(len(widths), asked, np.float32), widths)
        np.testing.assert_allclose(see(opening, widths), asked, atol=0.003)
    np.testing.assert_array_equal(calibrated.opening_for(np.zeros(len(widths), np.float32), widths), 0.0)


@pytest.mark.parametrize(("share", "rise"), [(0.6, 0.0), (1.0, 0.3), (0.8, -0.2)])
def test_response_of_the_width_is_recovered(calibrate, share, rise):
    rest = 0.55
    calibrated = calibrate(
        LipResponse(0.3),
        lambda opening, width: 0.3 * opening,
        lambda opening, width: rest * (1.0 + share * (width - 1.0) + rise * 0.3 * opening),
    )
    assert calibrated.width_share == pytest.approx(share, abs=1e-5)
    assert calibrated.width_rise == pytest.approx(rise, abs=1e-5)
    asked, opened = np.float32([0.92, 1.0, 1.05]), np.float32([-0.07, 0.0, 0.1])
    np.testing.assert_allclose(1.0 + share * (calibrated.width_for(asked) - 1.0), asked, atol=1e-5)
    seen = 1.0 + share * (calibrated.width_for(asked, opened) - 1.0) + COMPENSATED_RISE * rise * opened
    np.testing.assert_allclose(seen, asked, atol=1e-5)


@pytest.mark.parametrize(("share", "limit"), [(0.1, WIDTH_SHARES[0]), (3.0, WIDTH_SHARES[1])])
def test_implausible_shares_of_the_width_are_limited(calibrate, share, limit):
    calibrated = calibrate(
        LipResponse(0.3), lambda opening, width: 0.3 * opening, lambda opening, width: 1.0 + share * (width - 1.0)
    )
    assert calibrated.width_share == limit


def test_a_face_that_is_not_found_is_computed(monkeypatch):
    monkeypatch.setattr("sadtalker_ext.faces.mesh_provider.follow_each", lambda frames, mesh: (None for _ in frames))
    response = LipResponse(0.3)
    assert calibrate_lips(response, np.zeros((478, 3), np.float32), lambda mouth: iter(range(len(mouth)))) is response
