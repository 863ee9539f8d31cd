"""Tests of face detection use the shipped networks only, unless they request the second detector."""

import pytest

from sadtalker_ext.errors import FaceError
from sadtalker_ext.faces import face_alignment_provider


@pytest.fixture
def second_detector():
    """Request this to keep the second face detector."""


@pytest.fixture(autouse=True)
def _no_second_detector(monkeypatch, request):
    """Make the second face detector fail, as it would download its weights."""
    if "second_detector" in request.fixturenames:
        return

    def fail(*_):
        raise FaceError("The second face detector has no weights")

    monkeypatch.setattr(face_alignment_provider, "find", fail)
