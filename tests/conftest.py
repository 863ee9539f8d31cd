"""Pictures that several test folders share."""

import cv2
import numpy as np
import pytest


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
