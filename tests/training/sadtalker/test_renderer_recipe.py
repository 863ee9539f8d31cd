"""Recipes of the renderer and MappingNet: three steps, exact resume, loading files, two processes against one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from talking_clips import write_talking

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.training.core.loop import train
from sadtalker_ext.training.core.plan import Plan
from sadtalker_ext.training.core.run_log import read_run_log
from sadtalker_ext.training.sadtalker import renderer as renderer_module
from sadtalker_ext.training.sadtalker.mapping_net import MappingRecipe, train_mapping
from sadtalker_ext.training.sadtalker.model_sizes import SIZES, TINY, renderer_size
from sadtalker_ext.training.sadtalker.perceptual_loss import random_pyramid
from sadtalker_ext.training.sadtalker.renderer import PLANS, SMALL_WEIGHTS, RendererRecipe, train_renderer
from sadtalker_ext.training.sadtalker.renderer_data import FramePairs, head_angles, measure_psnr
from sadtalker_ext.training.sadtalker.renderer_losses import GUIDE_LANDMARKS
from sadtalker_ext.training.sadtalker.renderer_networks import COMPONENTS, load_component, load_renderer
from sadtalker_ext.weights.official import MAPPING_KIND
from sadtalker_ext.weights.safetensors_file import read_safetensors_file

PLAN = replace(PLANS["tiny"], validate_every=3, save_every=3)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_talking(folder)
    return folder


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("renderer")
    return folder, train_renderer(recipe(data), folder, PLAN, "abc")


def recipe(data, **options):
    return RendererRecipe(data, TINY, random_pyramid(), **options)


def parameters(networks):
    return {f"{name}.{key}": value for name, net in networks.items() for key, value in net.state_dict().items()}


def test_three_steps_write_losses_samples_and_networks(trained):
    folder, paths = trained
    names = {name for _, name, _ in read_run_log(folder / "losses.csv")}
    assert {*SMALL_WEIGHTS, "hinge", "validation_psnr", "validation_gain", "validation_mouth_gain"} <= names
    assert (folder / "samples" / "0000003" / "sheet.png").stat().st_size > 1000
    assert set(paths) == set(COMPONENTS)
    header = read_safetensors_file(paths["generator"], "sadtalker-training-generator").header
    assert (header["size_px"], header["coefficients"], header["commit"]) == ("32", "puppet", "abc")
    assert json.loads(header["plan"])["steps"] == 3
    assert set(json.loads(header["figures"])) >= {"psnr", "gain"}


def test_loaded_networks_equal_the_trained_ones(data, trained):
    """Frames of the trained networks and of the loaded files are identical."""
    folder, _ = trained
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    averaged = recipe(data).build()
    for name, network in averaged.items():
        network.load_state_dict(state["averages"][name])
    pairs = FramePairs(data, "test", TINY)
    batch = pairs.pairs(pairs.held_out(2))
    with torch.no_grad():
        wanted = averaged["renderer"].eval()(batch["source"], batch["driving"])[1].image
        found = load_renderer(folder)(batch["source"], batch["driving"])[1].image
    assert torch.equal(found, wanted)
    assert load_component(folder, "discriminator").config == TINY.discriminator


def test_six_steps_equal_three_and_three(data, tmp_path: Path):
    plan = replace(PLAN, steps=6, ema_decay=0.9)
    whole = parameters(train(recipe(data), plan, tmp_path / "whole"))
    train(recipe(data), plan, tmp_path / "split", stop_after=3)
    split = parameters(train(recipe(data), plan, tmp_path / "split"))
    assert all(torch.equal(whole[key], split[key]) for key in whole)


def test_gradient_checkpointing_does_not_change_the_losses(data, trained, tmp_path: Path):
    train(recipe(data, gradient_checkpointing=True), PLAN, tmp_path)
    plain, again = (
        {row[:2]: row[2] for row in read_run_log(folder / "losses.csv") if row[1] != "seconds"}
        for folder in (trained[0], tmp_path)
    )
    assert plain.keys() == again.keys()
    assert all(again[key] == pytest.approx(value, rel=1e-3, abs=1e-5) for key, value in plain.items())


def test_training_improves_psnr(data, tmp_path: Path):
    """Noise cannot be warped, so its average is learned, which is far better than another frame of noise."""
    plan = replace(PLAN, steps=30, learning_rate=1e-2, batch_size=2, ema_decay=0.7, validate_every=30, save_every=30)
    learner = recipe(data)
    figures = learner.validate(train(learner, plan, tmp_path))
    assert figures["gain"] > 1.5
    assert figures["psnr"] == pytest.approx(figures["psnr_unchanged"] + figures["gain"])


def test_the_discriminator_gets_the_image_of_the_same_step(data):
    learner = recipe(data)
    networks = learner.build()
    batch = learner.batch(np.random.default_rng(0), 2)
    with pytest.raises(KeyError):
        learner.losses(learner.phases[1], networks, dict(batch))
    learner.losses(learner.phases[0], networks, batch)
    drawn = batch["rendered_image"]
    assert not drawn.requires_grad
    networks["discriminator"].eval()
    judged = [networks["discriminator"](picture)[0].scores for picture in (batch["driving"], drawn)]
    by_hand = (1 - judged[0]).clamp(min=0).mean() + (1 + judged[1]).clamp(min=0).mean()
    with torch.no_grad():
        hinge = learner.losses(learner.phases[1], networks, batch)["hinge"]
    assert float(hinge) == pytest.approx(float(by_hand.detach()), rel=1e-5)


def test_keypoints_are_trained_first_and_alone(data, tmp_path: Path, monkeypatch):
    monkeypatch.setitem(renderer_module.KEYPOINTS_ONLY_SHARE, "tiny", 0.5)
    learner = recipe(data)
    torch.manual_seed(PLAN.seed)
    begun = {key: value.clone() for key, value in parameters(learner.build()).items()}
    after = parameters(train(learner, replace(PLAN, steps=4, log_every=1), tmp_path, stop_after=2))
    moved = {key.split(".")[1] for key, value in after.items() if not torch.equal(value, begun[key])}
    assert moved == {"keypoint_detector", "head_estimator"}
    rest = parameters(train(learner, replace(PLAN, steps=4, log_every=1), tmp_path))
    assert {key.split(".")[1] for key, value in rest.items() if not torch.equal(value, after[key])} >= {"generator"}
    rows = {step: {name for at, name, _ in read_run_log(tmp_path / "losses.csv") if at == step} for step in range(4)}
    assert "guide" in rows[0]
    assert not {"pixel", "hinge"} & rows[1]
    assert {"guide", "pixel", "hinge"} <= rows[2]


def test_guided_pairs_are_rendered_from_their_landmarks(data):
    """x and y of their keypoints are those of the landmarks; z and all other pairs use the detected keypoints."""
    learner = recipe(data)
    renderer = learner.build()["renderer"].eval()
    batch = learner.batch(np.random.default_rng(0), 4)
    batch["guided"] = torch.tensor([False, True, True, False])
    points = batch["landmarks"][:, :, list(GUIDE_LANDMARKS[:5])]
    with torch.no_grad():
        detected, rendered = renderer(batch["source"], batch["driving"], known=learner._landmark_keypoints(batch))
        plain = renderer(batch["source"], batch["driving"])[1]
    other, guided = [0, 3], [1, 2]
    assert torch.equal(rendered.image[other], plain.image[other])
    assert not torch.equal(rendered.image[guided], plain.image[guided])
    for used, own, wanted in zip(rendered.keypoints[:2], detected[:2], points.unbind(dim=1), strict=True):
        assert torch.equal(used[other], own[other])
        assert torch.equal(used[guided][:, :, :2], wanted[guided])
        assert torch.equal(used[guided][:, :, 2], own[guided][:, :, 2])
    flags = torch.cat([learner.batch(np.random.default_rng(seed), 8)["guided"] for seed in range(20)])
    assert 0.35 < float(flags.float().mean()) < 0.65


def test_batches_depend_on_the_generator_only(data):
    learner = recipe(data)
    first, second = (learner.batch(np.random.default_rng(5), 3) for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["source"], first["driving"])
    other = learner.batch(np.random.default_rng(6), 3)
    assert not torch.equal(first["source"], other["source"])


def test_pairs_match_the_clip(data):
    pairs = FramePairs(data, "train", TINY)
    clip = pairs.store.read_clip(1)
    batch = pairs.pairs([(1, 4, 20)])
    picture = torch.from_numpy(clip.image(20).copy()).permute(2, 0, 1) / 255
    assert torch.allclose(batch["driving"][0], picture)
    assert np.allclose(batch["angles"][0, 1].numpy(), clip.coefficients[20, [65, 64, 66]] * [1, -1, -1])
    assert np.allclose(batch["landmarks"][0, 1].numpy(), (clip.landmarks[20] / 16 - 1) * 8 / 7, atol=1e-5)
    assert np.allclose(batch["windows"][0, 1].numpy(), clip.coefficients[7:34].T)
    assert np.allclose(batch["windows"][0, 0].numpy(), clip.coefficients[4][:, None])
    mouth = clip.landmarks[20, 48:68]
    assert batch["mouth"][0, 0] < mouth[:, 0].min() < mouth[:, 0].max() < batch["mouth"][0, 2]


def test_larger_images_are_resized_and_smaller_ones_refused(data):
    half = replace(TINY, size_px=16)
    large, small = (FramePairs(data, "train", size).pairs([(0, 0, 1)]) for size in (TINY, half))
    blocks = large["source"].reshape(1, 3, 16, 2, 16, 2).mean(dim=(3, 5))
    assert small["source"].shape == (1, 3, 16, 16)
    # A triangle as wide as two pixels on noise: r is 0.9 with means of blocks; picking pixels would give 0.5.
    assert np.corrcoef(small["source"].flatten(), blocks.flatten())[0, 1] > 0.8
    with pytest.raises(SettingsError, match="choose a smaller --config"):
        FramePairs(data, "train", replace(TINY, size_px=64))


def test_psnr_by_hand(data):
    """The source itself has no gain; an image close to the driving one has a large gain."""
    pairs = FramePairs(data, "test", TINY)
    same = measure_psnr(pairs, lambda batch: batch["source"])
    assert same["gain"] == 0
    assert same["psnr"] == same["psnr_unchanged"]
    near = measure_psnr(pairs, lambda batch: (batch["driving"] + 0.1).clamp(0, 1))
    assert near["gain"] > 5


def test_angles_rotate_keypoints_like_the_head():
    """3DMM: yaw positive to the viewer's right, pitch down, roll to the viewer's left."""
    from sadtalker_ext.models.keypoints import rotation_matrix

    nose = torch.tensor([[0.0, 0.0, 1.0]])
    chin = torch.tensor([[0.0, 1.0, 0.0]])
    for column, point, axis, sign in ((1, nose, 0, 1), (0, nose, 1, 1), (2, chin, 0, 1)):
        coefficients = np.zeros((1, 73), np.float32)
        coefficients[0, 64 + column] = 0.3
        yaw, pitch, roll = torch.from_numpy(np.rad2deg(head_angles(coefficients)))[0]
        turned = (rotation_matrix(yaw[None], pitch[None], roll[None])[0] @ point[0])[axis]
        assert float(turned) * sign == pytest.approx(np.sin(0.3), abs=1e-3)


def test_sizes_are_found_by_name():
    assert renderer_size("full").generator.base_channels == 64
    assert all(size.keypoint_detector.keypoints == size.mapping.keypoints for size in SIZES.values())
    with pytest.raises(SettingsError, match="choose one of tiny, small, full"):
        renderer_size("huge")


@pytest.mark.parametrize("coefficients", [70, 73])
def test_mapping_is_trained_on_the_frozen_renderer(data, trained, tmp_path: Path, coefficients):
    renderer = load_renderer(trained[0])
    before = {key: value.clone() for key, value in renderer.state_dict().items()}
    learner = MappingRecipe(data, TINY, renderer, random_pyramid(), coefficients)
    plan = replace(PLAN, steps=25, learning_rate=1e-2, batch_size=4, validate_every=25, save_every=25)
    path = train_mapping(learner, tmp_path, plan)
    rows = {step: value for step, name, value in read_run_log(tmp_path / "losses.csv") if name == "guide"}
    assert rows[24] < 0.7 * rows[0]
    assert all(torch.equal(renderer.state_dict()[key], value) for key, value in before.items())
    file = read_safetensors_file(path, MAPPING_KIND)
    assert path.name == f"mapping_{coefficients}.safetensors"
    assert file.config["coefficients"] == coefficients
    assert (tmp_path / "samples" / "0000025" / "sheet.png").exists()


def test_mapping_accepts_70_or_73_coefficients_only(data, trained):
    with pytest.raises(SettingsError, match="70 or 73 coefficients, not 64"):
        MappingRecipe(data, TINY, load_renderer(trained[0]), random_pyramid(), 64)


class BothHalves(RendererRecipe):
    """The batch of one process is the concatenation of the batches of two processes."""

    def batch(self, random, size):
        randoms = [np.random.default_rng((0, 0, process)) for process in (0, 1)]
        halves = [RendererRecipe.batch(self, draws, size // 2) for draws in randoms]
        return {name: torch.cat([half[name] for half in halves]) for name in halves[0]}


ONE_STEP = Plan(steps=1, batch_size=3, warmup_steps=1, log_every=1)


def one_step_of_two(data: str, folder: str) -> None:
    torch.set_num_threads(1)
    train(RendererRecipe(Path(data), TINY, random_pyramid()), ONE_STEP, Path(folder))


def test_two_processes_equal_one_with_twice_the_batch_size(data, tmp_path: Path):
    """Losses and the size of the gradients: batch norms see both batches. In a fresh interpreter, see test_loop."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from accelerate import debug_launcher\n"
        f"from {Path(__file__).stem} import one_step_of_two\n"
        "debug_launcher(one_step_of_two, args=(sys.argv[2], sys.argv[3]), num_processes=2)\n"
    )
    command = [sys.executable, "-c", program, str(Path(__file__).parent), str(data), str(tmp_path / "two")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path)}
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300, env=environment)
    assert result.returncode == 0, result.stderr
    train(BothHalves(data, TINY, random_pyramid()), replace(ONE_STEP, batch_size=6), tmp_path / "one")
    two, one = (
        {name: value for _, name, value in read_run_log(tmp_path / folder / "losses.csv")} for folder in ("two", "one")
    )
    for name in (*SMALL_WEIGHTS, "total_renderer", "hinge"):
        assert two[name] == pytest.approx(one[name], rel=1e-5, abs=1e-6), name
    for name in ("gradient_renderer", "gradient_discriminator"):
        assert two[name] == pytest.approx(one[name], rel=3e-3), name
