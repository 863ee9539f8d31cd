"""The tests of the face finder use MediaPipe alone, unless one asks for the second provider."""

import pytest

from sadtalker_ext.errors import FaceError
from sadtalker_ext.faces import face_alignment_provider


@pytest.fixture
def second_finder():
    """Ask for this to leave the second face finder as it is."""


@pytest.fixture(autouse=True)
def _no_second_finder(monkeypatch, request):
    """The second face finder would download its weights: these tests want it to have none."""
    if "second_finder" in request.fixturenames:
        return

    def refuse(*_):
        raise FaceError("The second face finder has no weights")

    monkeypatch.setattr(face_alignment_provider, "find", refuse)
