"""Networks are made without values: nothing is drawn, and torch does not import its compiler."""

import subprocess
import sys

import torch
from torch import nn

from sadtalker_ext.models.blocks import ConvNorm2d
from sadtalker_ext.models.folding import fold
from sadtalker_ext.models.spade import SpadeConfig, SpadeDecoder
from sadtalker_ext.weights.network_shapes import shapes_only

MADE_ALONE = """
import sys
from sadtalker_ext.weights.network_shapes import shapes_only
from sadtalker_ext.weights.official import NETWORKS
from sadtalker_ext.weights.packaged import PackagedConfig
with shapes_only():
    for make in NETWORKS.values():
        make(PackagedConfig())
print("sympy" in sys.modules, "torch._dynamo" in sys.modules)
"""


def make():
    return nn.ModuleList([SpadeDecoder(8, 4, SpadeConfig(1, 4)), nn.Linear(3, 2), nn.LSTM(3, 2), nn.Conv1d(2, 2, 1)])


def test_shapes_are_those_of_a_network_with_values():
    before = torch.random.get_rng_state()
    with shapes_only():
        network = make()
    assert torch.equal(torch.random.get_rng_state(), before)
    state = network.state_dict()
    assert {key: value.shape for key, value in state.items()} == {k: v.shape for k, v in make().state_dict().items()}
    assert all(value.is_meta for value in state.values())


def test_the_compiler_of_torch_is_not_imported():
    done = subprocess.run([sys.executable, "-c", MADE_ALONE], check=True, capture_output=True, text=True)
    assert done.stdout == "False False\n"


def test_parts_without_weights_are_not_folded():
    with shapes_only():
        part = ConvNorm2d(3, 4)
    assert isinstance(fold(part).norm, nn.BatchNorm2d)
