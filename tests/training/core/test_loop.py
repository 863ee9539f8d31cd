"""The loop: resume is exact, averages lag, errors are sentences, two processes agree."""

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
from sadtalker_ext.training.core.loop import Plan, train, weighted_sum
from sadtalker_ext.training.core.phases import Phase
from sadtalker_ext.training.core.run_log import read_journal


class LineRecipe:
    """Fit y = 2 x; a judge network learns the opposite in a second phase."""

    name = "line"
    phases = (Phase("fit", {"square": 1.0, "size": 0.01}), Phase("judge", {"judge": 1.0}, learning_rate_scale=0.5))

    def build(self):
        return {"fit": nn.Sequential(nn.Linear(1, 4), nn.Dropout(0.1), nn.Linear(4, 1)), "judge": nn.Linear(1, 1)}

    def batch(self, random, size):
        x = torch.from_numpy(random.standard_normal((size, 1)).astype(np.float32))
        return {"x": x, "y": 2 * x}

    def losses(self, phase, networks, batch):
        prediction = networks["fit"](batch["x"])
        if phase.network == "fit":
            return {"square": (prediction - batch["y"]).square().mean(), "size": prediction.square().mean()}
        assert not prediction.requires_grad
        return {"judge": (networks["judge"](prediction) + batch["y"]).square().mean()}

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


def test_six_steps_equal_three_and_three(tmp_path: Path):
    whole = parameters(train(LineRecipe(), PLAN, tmp_path / "whole"))
    train(LineRecipe(), PLAN, tmp_path / "split", stop_after=3)
    split = parameters(train(LineRecipe(), PLAN, tmp_path / "split"))
    assert all(torch.equal(whole[key], split[key]) for key in whole)
    rows = [
        [row for row in read_journal(tmp_path / folder / "losses.csv") if row[1] != "seconds"]
        for folder in ("whole", "split")
    ]
    assert rows[0] == rows[1]
    assert {row[0] for row in rows[0]} == set(range(6))
    assert (tmp_path / "split" / "samples" / "0000006" / "at_one.txt").exists()
    assert list((tmp_path / "whole" / "tensorboard").iterdir())


def test_it_learns_and_the_average_is_another_network(tmp_path: Path):
    plan = Plan(steps=300, batch_size=32, learning_rate=0.03, warmup_steps=5, ema_decay=0.9, validate_every=300)
    fitted = train(LineRecipe(), plan, tmp_path)["fit"]
    assert float(fitted(torch.ones(1, 1))) == pytest.approx(2.0, abs=0.35)
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert not torch.equal(content["networks"]["fit"]["0.weight"], content["averages"]["fit"]["0.weight"])


def test_workers_prepare_the_same_batches(tmp_path: Path):
    alone = parameters(train(LineRecipe(), PLAN, tmp_path / "alone"))
    helped = parameters(train(LineRecipe(), replace(PLAN, workers=2), tmp_path / "helped"))
    assert all(torch.equal(alone[key], helped[key]) for key in alone)


def test_a_changed_plan_is_refused_by_name(tmp_path: Path):
    train(LineRecipe(), PLAN, tmp_path, stop_after=3)
    with pytest.raises(WeightsError, match=r"learning_rate was 0\.05, is 0\.1"):
        train(LineRecipe(), replace(PLAN, learning_rate=0.1), tmp_path)


def test_a_truncated_checkpoint_is_refused(tmp_path: Path):
    (tmp_path / "checkpoint.pt").write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(WeightsError, match="remove it or name another folder"):
        train(LineRecipe(), PLAN, tmp_path)


def test_divergence_and_memory_are_sentences(tmp_path: Path):
    with pytest.raises(EngineError, match=r"square = nan, total_fit = nan; lower --learning-rate"):
        train(BrokenRecipe(None), PLAN, tmp_path)
    with pytest.raises(EngineError, match="try --batch-size 2 --accumulate 2: a step still sees 4 examples"):
        train(BrokenRecipe(RuntimeError("CUDA out of memory")), PLAN, tmp_path)
    with pytest.raises(RuntimeError, match="something else"):
        train(BrokenRecipe(RuntimeError("something else")), PLAN, tmp_path)


def test_a_forgotten_loss_is_refused():
    with pytest.raises(EngineError, match="make them agree"):
        weighted_sum({"a": torch.ones(())}, {"a": 1.0, "b": 1.0})


def two_process_run(folder: str) -> None:
    from accelerate import Accelerator

    networks = train(LineRecipe(), Plan(steps=3, batch_size=4, log_every=1, warmup_steps=1), Path(folder))
    rank = Accelerator().process_index
    torch.save({"fit": networks["fit"].state_dict()}, Path(folder) / f"process{rank}.pt")


def test_three_steps_on_two_cpu_processes(tmp_path: Path):
    """In a fresh interpreter: accelerate decides once per process how many there are."""
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
    """Without dropout and with one phase, so that examples do not depend on how they are batched."""

    phases = (Phase("fit", {"square": 1.0, "size": 0.01}),)

    def build(self):
        return {"fit": nn.Sequential(nn.Linear(1, 4), nn.Tanh(), nn.Linear(4, 1))}


def test_batches_add_up_to_a_step(tmp_path: Path):
    """Two batches of two make the step of one batch of four, and a run may go on so when memory was short."""
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
    """A finite loss whose gradient is not: the square root at zero."""

    def losses(self, phase, networks, batch):
        prediction = networks["fit"](batch["x"])
        return {"square": (prediction * 0).sqrt().mean(), "size": prediction.mean()}


def test_gradients_that_are_no_numbers_are_refused_before_they_spoil_weights(tmp_path: Path):
    with pytest.raises(EngineError, match="gradient_fit = nan"):
        train(OverflowRecipe(), PLAN, tmp_path)


def test_memory_names_what_is_left_to_do(tmp_path: Path):
    with pytest.raises(EngineError, match="try --recompute"):
        train(BrokenRecipe(RuntimeError("CUDA out of memory")), replace(PLAN, batch_size=1), tmp_path)
    with pytest.raises(EngineError, match="try --batch-size 3 --accumulate 3"):
        train(BrokenRecipe(MemoryError()), replace(PLAN, batch_size=7), tmp_path)


def test_records_of_before_a_plan_had_more_fields_still_go_on(tmp_path: Path):
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
