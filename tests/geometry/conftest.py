"""One portrait everybody has, and pictures made of it."""

import cv2
import numpy as np
import pytest

from sadtalker_ext.errors import FaceError
from sadtalker_ext.geometry import alignment_faces


@pytest.fixture(scope="session")
def astronaut():
    from skimage.data import astronaut as read

    return read()


@pytest.fixture(scope="session")
def two_faces(astronaut):
    """(pictures side by side) the astronaut at 60 % on the left, at full size on the right; (512, 820, 3)."""
    small = cv2.resize(astronaut, (308, 308), interpolation=cv2.INTER_AREA)
    left = np.full((512, 308, 3), 120, np.uint8)
    left[100:408] = small
    return np.hstack([left, astronaut])


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

    monkeypatch.setattr(alignment_faces, "find", refuse)
