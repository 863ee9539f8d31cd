"""Complete checkpoints filled with zeros."""

import pytest
import torch
from sparse_files import packaged_template, write_sparse

from sadtalker_ext.weights import official


@pytest.fixture(scope="session")
def template():
    return packaged_template()


@pytest.fixture
def packaged(tmp_path, template):
    """A complete packaged file filled with zeros."""
    return write_sparse(tmp_path / official.PACKAGED[256].name, template)


@pytest.fixture
def mapping_state():
    """State dict of MappingNet for 70 coefficients, filled with zeros; full size because the loader is strict."""
    with torch.device("meta"):
        shapes = official.MappingNet(official.MappingNetConfig(70)).state_dict()
    return {key: torch.zeros(value.shape) for key, value in shapes.items()}
