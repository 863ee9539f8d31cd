"""Openings of a portrait's lips that the face tracker measures in rendered frames."""

import numpy as np
import pytest
from skimage.data import astronaut

from sadtalker_ext.engines.starter.engine import StarterEngine
from sadtalker_ext.engines.starter.lip_calibration import PROBED_OPENINGS, PROBED_WIDTHS, calibrate_lips
from sadtalker_ext.engines.starter.lip_response import LipResponse, TrackedOpenings
from sadtalker_ext.faces.find import find_faces, track_faces
from sadtalker_ext.geometry.measures import mouth_opening
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


def test_tracker_sees_the_openings_of_a_smiling_mouth(engine, portrait):
    """Without the measurement, openings from 0.08 to 0.13 of this portrait are seen as 0.083 to 0.1."""
    asked = np.float32([0.03, 0.06, 0.08, 0.1, 0.12, 0.14, 0.16])
    errors = []
    for response in (engine._response, LipResponse(engine._response.jaw_opening, engine._response.excess_width)):
        widths = np.ones(len(asked), np.float32)
        mouth = np.zeros((len(asked), len(MOUTH_SHAPES)), np.float32)
        mouth = sync.with_opening(mouth, response.opening_for(asked, widths))
        expression = np.zeros((len(asked), len(SHAPES)), np.float32)
        expression[:, : len(MOUTH_SHAPES)] = sync.with_width(mouth, widths, response.excess_width)
        expression[:, SHAPE_INDEX["mouth_neutral"]] = 1.0
        still = np.zeros((len(asked), 3), np.float32)
        frames = engine.render(portrait, engine.neutral_motion(), Motion(expression, still, still))
        seen = np.array([mouth_opening(face) for face in track_faces(frames)])
        errors.append(np.abs(seen - asked).mean())
    assert errors[0] < 0.01
    assert errors[0] < 0.7 * errors[1]


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


@pytest.mark.parametrize(("seen", "kept"), [(0.9, False), (0.2, True)])
def test_lips_that_the_tracker_does_not_follow_are_computed(monkeypatch, seen, kept):
    """seen: share of the computed opening that is tracked, 0.2 as in some drawings."""
    response, probed = LipResponse(0.3), []

    def render(mouth):
        probed.extend(sync.mouth_opening(mouth))
        return iter(range(len(mouth)))

    monkeypatch.setattr("sadtalker_ext.faces.mesh_provider.follow_each", lambda frames, mesh: frames)
    monkeypatch.setattr("sadtalker_ext.geometry.measures.mouth_opening", lambda frame: seen * 0.3 * probed[frame])
    calibrated = calibrate_lips(response, np.zeros((478, 3), np.float32), render)
    assert len(probed) == PROBES
    assert (calibrated == response) == kept
    if not kept:
        assert np.all(np.diff(calibrated.openings.seen) > 0.0)
        opening = calibrated.opening_for(np.float32([0.135]))
        assert opening[0] == pytest.approx(0.5, abs=0.02)


def test_openings_are_seen_alike_at_every_width(monkeypatch):
    """The tracker of this test sees narrow mouths farther open, as with some portraits, closed ones too."""
    probed = []

    def see(opening, width):
        return 0.3 * opening - 0.1 * (width - 1.0)

    def render(mouth):
        probed.extend(zip(sync.mouth_opening(mouth), sync.mouth_width(mouth), strict=True))
        return iter(range(len(mouth)))

    monkeypatch.setattr("sadtalker_ext.faces.mesh_provider.follow_each", lambda frames, mesh: frames)
    monkeypatch.setattr("sadtalker_ext.geometry.measures.mouth_opening", lambda frame: see(*probed[frame]))
    calibrated = calibrate_lips(LipResponse(0.3), np.zeros((478, 3), np.float32), render)
    widths = np.float32([0.9, 0.95, 1.0, 1.05, 1.1])
    for asked in (0.04, 0.1, 0.2):
        opening = calibrated.opening_for(np.full(len(widths), asked, np.float32), widths)
        np.testing.assert_allclose(see(opening, widths), asked, atol=0.003)
    np.testing.assert_array_equal(calibrated.opening_for(np.zeros(len(widths), np.float32), widths), 0.0)


def test_a_face_that_is_not_found_is_computed(monkeypatch):
    monkeypatch.setattr("sadtalker_ext.faces.mesh_provider.follow_each", lambda frames, mesh: (None for _ in frames))
    response = LipResponse(0.3)
    assert calibrate_lips(response, np.zeros((478, 3), np.float32), lambda mouth: iter(range(len(mouth)))) is response
