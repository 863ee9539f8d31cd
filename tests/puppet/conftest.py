"""Fixtures for the tests of the geometric renderer."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from puppet_portraits import mesh_of, picture_of

from sadtalker_ext.puppet.renderer import PortraitRenderer


@pytest.fixture(scope="session")
def make_renderer() -> Callable[[str], PortraitRenderer]:
    return cache(lambda name: PortraitRenderer(picture_of(name), mesh_of(name)))


@pytest.fixture(scope="session")
def astronaut(make_renderer: Callable[[str], PortraitRenderer]) -> PortraitRenderer:
    return make_renderer("astronaut")
