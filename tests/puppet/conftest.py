"""Fixtures of the puppet's tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest
from puppet_portraits import mesh_of, picture_of

from sadtalker_ext.puppet.renderer import Puppet


@pytest.fixture(scope="session")
def make_puppet() -> Callable[[str], Puppet]:
    return cache(lambda name: Puppet(picture_of(name), mesh_of(name)))


@pytest.fixture(scope="session")
def astronaut(make_puppet: Callable[[str], Puppet]) -> Puppet:
    return make_puppet("astronaut")
