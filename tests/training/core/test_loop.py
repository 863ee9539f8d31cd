"""Training loop: exact resume, averaged weights, error messages, several processes."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sadtalker_ext.errors import EngineError, WeightsError
from sadtalker_ext.training.core.loop import train, weighted_sum
from sadtalker_ext.training.core.phases import Phase
from sadtalker_ext.training.core.plan import Plan
from sadtalker_ext.training.core.run_log import read_run_log


class LineRecipe:
    """Fit y = 2 x; a critic network learns the opposite in a second phase."""

    name = "line"
    data = ""
    phases = (Phase("fit", {"square": 1.0, "size": 0.01}), Phase("critic", {"critic": 1.0}, learning_rate_scale=0.5))

    def build(self):
        return {"fit": nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.1), nn.Linear(4, 1)), "critic": nn.Linear(1, 1)}

    def batch(self, random, size):
        x = torch.from_numpy(random.standard_normal((size, 1)).astype(np.float32))
        return {"x": x, "y": 2 * x}

    def losses(self, phase, networks, batch):
        prediction = networks["fit"](batch["x"])
        if phase.network == "fit":
            return {"square": (prediction - batch["y"]).square().mean(), "size": prediction.square().mean()}
        assert not prediction.requires_grad
        return {"critic": (networks["critic"](prediction) + batch["y"]).square().mean()}

    def validate(self, networks):
        with torch.no_grad():
            return {"at_one": float(networks["fit"](torch.ones(1, 1)))}

    def sample(self, networks, folder):
        (folder / "at_one.txt").write_text(str(self.validate(networks)["at_one"]))


class BrokenRecipe(LineRecipe):
    phases = (Phase("fit", {"square": 1.0}),)

    def __init__(self, error):
        self.error = error

    def losses(self, phase, networks, batch):
        if self.error is not None:
            raise self.error
        return {"square": networks["fit"](batch["x"]).mean() * float("nan")}


PLAN = Plan(steps=6, batch_size=4, learning_rate=0.05, warmup_steps=2, log_every=1, validate_every=3, save_every=3)


def parameters(networks):
    return {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}


def test_resumed_run_equals_uninterrupted_run(tmp_path: Path):
    whole = parameters(train(LineRecipe(), PLAN, tmp_path / "whole"))
    train(LineRecipe(), PLAN, tmp_path / "split", stop_after=3)
    split = parameters(train(LineRecipe(), PLAN, tmp_path / "split"))
    assert all(torch.equal(whole[key], split[key]) for key in whole)
    rows = [
        [row for row in read_run_log(tmp_path / folder / "losses.csv") if row[1] != "seconds"]
        for folder in ("whole", "split")
    ]
    assert rows[0] == rows[1]
    assert {row[0] for row in rows[0]} == set(range(6))
    assert (tmp_path / "split" / "samples" / "0000006" / "at_one.txt").exists()
    assert list((tmp_path / "whole" / "tensorboard").iterdir())


def test_network_learns_and_average_differs(tmp_path: Path):
    plan = Plan(steps=300, batch_size=32, learning_rate=0.03, warmup_steps=5, ema_decay=0.9, validate_every=300)
    fitted = train(LineRecipe(), plan, tmp_path)["fit"]
    assert float(fitted(torch.ones(1, 1))) == pytest.approx(2.0, abs=0.35)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert not torch.equal(content["networks"]["fit"]["0.weight"], content["averages"]["fit"]["0.weight"])


def test_workers_prepare_the_same_batches(tmp_path: Path):
    alone = parameters(train(LineRecipe(), PLAN, tmp_path / "alone"))
    helped = parameters(train(LineRecipe(), replace(PLAN, workers=2), tmp_path / "helped"))
    assert all(torch.equal(alone[key], helped[key]) for key in alone)


def test_changed_plan_is_refused(tmp_path: Path):
    train(LineRecipe(), PLAN, tmp_path, stop_after=3)
    with pytest.raises(WeightsError, match=r"learning_rate was 0\.05, is 0\.1"):
        train(LineRecipe(), replace(PLAN, learning_rate=0.1), tmp_path)


def test_truncated_checkpoint_is_refused(tmp_path: Path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(WeightsError, match="Delete it or use another folder"):
        train(LineRecipe(), PLAN, tmp_path)


def test_divergence_and_out_of_memory_messages(tmp_path: Path):
    with pytest.raises(EngineError, match=r"square = nan, total_fit = nan\. Start again .* lower --learning-rate"):
        train(BrokenRecipe(None), PLAN, tmp_path)
    with pytest.raises(EngineError, match="Try --batch-size 2 --accumulate 2: a step still uses 4 examples"):
        train(BrokenRecipe(RuntimeError("CUDA out of memory")), PLAN, tmp_path)
    with pytest.raises(RuntimeError, match="something else"):
        train(BrokenRecipe(RuntimeError("something else")), PLAN, tmp_path)


def test_missing_loss_is_refused():
    with pytest.raises(EngineError, match="give both the same names"):
        weighted_sum({"a": torch.ones(())}, {"a": 1.0, "b": 1.0})


def two_process_run(folder: str) -> None:
    from accelerate import Accelerator

    networks = train(LineRecipe(), Plan(steps=3, batch_size=4, log_every=1, warmup_steps=1), Path(folder))
    rank = Accelerator().process_index
    torch.save({"fit": networks["fit"].state_dict()}, Path(folder) / f"process{rank}.pt")


def test_three_steps_on_two_cpu_processes(tmp_path: Path):
    """Runs in a new interpreter because accelerate detects the number of processes once per interpreter."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from accelerate import debug_launcher\n"
        "from test_loop import two_process_run\n"
        "debug_launcher(two_process_run, args=(sys.argv[2],), num_processes=2)\n"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(tmp_path)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert result.returncode == 0, result.stderr
    first, second = (torch.load(tmp_path / f"process{rank}.pt")["fit"] for rank in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)
    alone = train(LineRecipe(), Plan(steps=3, batch_size=4, log_every=1, warmup_steps=1), tmp_path / "alone")["fit"]
    assert any(not torch.equal(first[key], alone.state_dict()[key]) for key in first)


class PlainRecipe(LineRecipe):
    """Recipe without dropout and with one phase, so that results do not depend on the batching."""

    phases = (Phase("fit", {"square": 1.0, "size": 0.01}),)

    def build(self):
        return {"fit": nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))}


def test_accumulated_batches_equal_one_batch(tmp_path: Path):
    """Two batches of two equal one batch of four, and a run can be resumed with them."""
    halves = replace(PLAN, batch_size=2, accumulate=2)
    whole = parameters(train(PlainRecipe(), PLAN, tmp_path / "whole"))
    parts = parameters(train(PlainRecipe(), halves, tmp_path / "parts"))
    train(PlainRecipe(), PLAN, tmp_path / "both", stop_after=3)
    both = parameters(train(PlainRecipe(), halves, tmp_path / "both"))
    for key, value in whole.items():
        assert torch.allclose(parts[key], value, atol=1e-5)
        assert torch.allclose(both[key], value, atol=1e-5)
    with pytest.raises(WeightsError, match="batch_size x accumulate was 4, is 6"):
        train(PlainRecipe(), replace(PLAN, batch_size=3, accumulate=2), tmp_path / "both")


class OverflowRecipe(PlainRecipe):
    """A finite loss with a gradient that is not finite: the square root at zero."""

    def losses(self, phase, networks, batch):
        prediction = networks["fit"](batch["x"])
        return {"square": (prediction * 0).sqrt().mean(), "size": prediction.mean()}


def test_gradients_that_are_not_finite_are_refused(tmp_path: Path):
    with pytest.raises(EngineError, match="gradient_fit = nan"):
        train(OverflowRecipe(), PLAN, tmp_path)


def test_out_of_memory_message_suggests_options(tmp_path: Path):
    with pytest.raises(EngineError, match="try --gradient-checkpointing"):
        train(BrokenRecipe(RuntimeError("CUDA out of memory")), replace(PLAN, batch_size=1), tmp_path)
    with pytest.raises(EngineError, match="Try --batch-size 3 --accumulate 3"):
        train(BrokenRecipe(MemoryError()), replace(PLAN, batch_size=7), tmp_path)


def test_records_without_newer_plan_fields_are_accepted(tmp_path: Path):
    train(LineRecipe(), PLAN, tmp_path, stop_after=3)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    record = json.loads(content["record"])
    for name in ("betas", "accumulate"):
        del record["plan"][name]
    torch.save({**content, "record": json.dumps(record)}, tmp_path / "checkpoint.pt")
    train(LineRecipe(), PLAN, tmp_path)
    torch.save({**content, "record": json.dumps(record)}, tmp_path / "checkpoint.pt")
    with pytest.raises(WeightsError, match=r"betas was \[0\.9, 0\.98\], is \[0\.5, 0\.9\]"):
        train(LineRecipe(), replace(PLAN, betas=(0.5, 0.9)), tmp_path)


def test_a_run_is_resumed_with_its_own_data_only(tmp_path: Path):
    class Described(LineRecipe):
        data = "12 train and 3 test clips of 5 speakers, 0123456789ab"

    train(LineRecipe(), PLAN, tmp_path / "old", stop_after=3)
    train(Described(), PLAN, tmp_path / "old")  # states of earlier versions do not name their data
    recipe = Described()
    train(recipe, PLAN, tmp_path / "run", stop_after=3)
    train(recipe, PLAN, tmp_path / "run")
    recipe.data = "12 train and 3 test clips of 5 speakers, ba9876543210"
    with pytest.raises(
        WeightsError, match=r"other data \(12 .* 0123456789ab; now .*ba9876543210\)\. Use .* another folder"
    ):
        train(recipe, PLAN, tmp_path / "run")
