"""Recipe of PoseCvae: batches are pieces of clips, three steps run, losses and samples are written."""

from pathlib import Path

import numpy as np
import pytest
import torch

from sadtalker_ext.training.core.loop import train
from sadtalker_ext.training.core.plan import Plan
from sadtalker_ext.training.core.run_log import read_run_log
from sadtalker_ext.training.starter.pose_cvae import PoseCvaeRecipe


@pytest.fixture(scope="module")
def recipe():
    return PoseCvaeRecipe(clips=12)


def test_batches_are_pieces_of_clips_and_depend_on_the_generator_only(recipe):
    batch, again = (recipe.batch(np.random.default_rng(1), 64) for _ in range(2))
    assert all(torch.equal(batch[name], again[name]) for name in batch)
    assert batch["piece"].shape == (64, 32, 6)
    assert batch["prosody"].shape == (64, 40, 6)
    for piece, prosody, style in zip(batch["piece"], batch["prosody"], batch["style"], strict=True):
        clip = next(
            (clip, first)
            for clip in recipe.clips
            for first in np.flatnonzero(np.all(clip.pose[:, :] == piece[0].numpy(), axis=1))
            if first + 32 <= len(clip.pose) and np.array_equal(clip.pose[first : first + 32], piece.numpy())
            and np.array_equal(clip.features[first : first + 40], prosody.numpy())
        )
        assert clip[0].style == int(style)
    assert torch.abs(batch["before"] - batch["piece"][:, :8]).max() < 0.03


def test_some_pieces_start_from_rest(recipe):
    batch = recipe.batch(np.random.default_rng(0), 512)
    at_rest = (batch["piece"][:, :8] == 0).all(dim=2).all(dim=1).float().mean()
    assert 0.03 < at_rest < 0.12


def test_three_steps_train_and_write_logs(recipe, tmp_path: Path):
    plan = Plan(steps=3, batch_size=16, warmup_steps=1, log_every=1, validate_every=3, save_every=3)
    before = {name: network.state_dict() for name, network in recipe.build().items()}
    networks = train(recipe, plan, tmp_path)
    rows = read_run_log(tmp_path / "losses.csv")
    names = {name for _, name, _ in rows}
    assert {"reconstruction", "velocity", "kl", "join", "gan", "judge", "validation_spread"} <= names
    assert (tmp_path / "samples" / "0000003" / "head_motion.svg").read_text().count("<polyline") > 30
    assert any(not torch.equal(before["pose"][k], v) for k, v in networks["pose"].state_dict().items())


def test_training_reduces_the_reconstruction_error(recipe, tmp_path: Path):
    plan = Plan(steps=60, batch_size=64, warmup_steps=5, log_every=1, validate_every=1000, save_every=1000)
    recipe = PoseCvaeRecipe(clips=12)
    recipe.validate = lambda networks: {}
    recipe.sample = lambda networks, folder: None
    train(recipe, plan, tmp_path)
    errors = [value for _, name, value in read_run_log(tmp_path / "losses.csv") if name == "reconstruction"]
    assert np.mean(errors[-5:]) < 0.5 * np.mean(errors[:5])
