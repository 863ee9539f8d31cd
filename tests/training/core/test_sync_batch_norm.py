"""Synchronised batch norm equals the batch norm of torch on one batch with all examples."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from sadtalker_ext.models.folding import fold
from sadtalker_ext.training.core.sync_batch_norm import SyncBatchNorm, convert_sync_batch_norms


def norms(rank=2):
    torch.manual_seed(0)
    kind = {1: nn.BatchNorm1d, 2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[rank]
    network = nn.Sequential(kind(3)).double()
    nn.init.normal_(network[0].weight)
    nn.init.normal_(network[0].bias)
    return network


def backward_pass(network, x):
    x = x.clone().requires_grad_()
    (network(x) ** 3).mean().backward()
    return x.grad, network[0].weight.grad, network[0].bias.grad, *network.buffers()


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_single_process_equals_batch_norm(rank):
    reference = norms(rank)
    ours = copy.deepcopy(reference)
    convert_sync_batch_norms(ours)
    assert isinstance(ours[0], SyncBatchNorm)
    assert ours.state_dict().keys() == reference.state_dict().keys()
    for _ in range(2):
        x = 3 + 2 * torch.randn(5, 3, *[4] * (rank if rank > 1 else 0), dtype=torch.float64)
        for a, b in zip(backward_pass(ours, x), backward_pass(reference, x), strict=True):
            assert torch.allclose(a, b, rtol=1e-9)
    assert torch.allclose(ours.eval()(x), reference.eval()(x))


def test_parameters_and_other_modules_are_kept():
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.InstanceNorm2d(4, affine=True))
    before = list(network.parameters())
    convert_sync_batch_norms(network)
    assert all(a is b for a, b in zip(before, network.parameters(), strict=True))
    assert isinstance(network[2], nn.InstanceNorm2d)


def test_synchronised_norm_can_be_folded():
    class Pair(nn.Module):
        FOLDS = (("conv", "norm"),)

        def __init__(self):
            super().__init__()
            self.conv, self.norm = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

        def forward(self, x):
            return self.norm(self.conv(x))

    pair = Pair()
    pair(torch.rand(4, 3, 5, 5))
    x = torch.rand(1, 3, 5, 5)
    assert torch.allclose(fold(copy.deepcopy(pair))(x), pair.eval()(x), atol=1e-6)


def run_half(rank: int, folder: str) -> None:
    from torch import distributed

    rendezvous = (Path(folder) / "rendezvous").as_uri()
    distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2)
    network = norms()
    convert_sync_batch_norms(network)
    x = torch.load(Path(folder) / "x.pt").chunk(2)[rank]
    torch.save(backward_pass(network, x), Path(folder) / f"{rank}.pt")
    distributed.destroy_process_group()
    # On a busy machine, threads of torch sometimes outlive the interpreter and abort it at exit.
    os._exit(0)


def test_two_processes_equal_one(tmp_path: Path):
    x = 3 + 2 * torch.randn(6, 3, 4, 4, dtype=torch.float64)
    torch.save(x, tmp_path / "x.pt")
    program = "import sys; from test_sync_batch_norm import run_half; run_half(int(sys.argv[1]), sys.argv[2])"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(rank), str(tmp_path)], cwd=Path(__file__).parent, stderr=subprocess.PIPE
        )
        for rank in (0, 1)
    ]
    for process in running:
        _, stderr = process.communicate(timeout=300)
        assert process.returncode == 0, stderr.decode()
    (gx0, w0, b0, *kept0), (gx1, w1, b1, *kept1) = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    gx, w, b, *kept = backward_pass(norms(), x)
    # The loss of each process is the mean over its half of the batch; their mean is the loss of the whole batch.
    assert torch.allclose(torch.cat((gx0, gx1)) / 2, gx, rtol=1e-9)
    assert torch.allclose((w0 + w1) / 2, w, rtol=1e-9)
    assert torch.allclose((b0 + b1) / 2, b, rtol=1e-9)
    for mine, other, whole in zip(kept0, kept1, kept, strict=True):
        assert torch.allclose(mine.double(), whole.double(), rtol=1e-9)
        assert torch.equal(mine, other)
