"""Fixtures for the tests of the geometric renderer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from puppet_portraits import enlarged, mesh_of, picture_of

from sadtalker_ext.puppet.renderer import PortraitRenderer


@pytest.fixture(scope="session")
def make_renderer() -> Callable[[str], PortraitRenderer]:
    return cache(lambda name: PortraitRenderer(picture_of(name), mesh_of(name)))


@pytest.fixture(scope="session")
def astronaut(make_renderer: Callable[[str], PortraitRenderer]) -> PortraitRenderer:
    return make_renderer("astronaut")


@pytest.fixture(scope="module")
def mesh(request: pytest.FixtureRequest) -> np.ndarray:
    """The mesh of the astronaut in :func:`photograph`."""
    return mesh_of("astronaut") * np.float32(request.module.SCALE)


@pytest.fixture(scope="module")
def photograph(request: pytest.FixtureRequest) -> np.ndarray:
    """The astronaut, enlarged by the SCALE of the test file so that eyes have enough pixels."""
    return enlarged("astronaut", request.module.SCALE)
