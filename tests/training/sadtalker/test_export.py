"""Training of all networks on a small data set, export, and opening the export with the engine."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from talking_clips import write_talking

from sadtalker_ext.audio.speech import Speech
from sadtalker_ext.engines.protocol import MotionStyle
from sadtalker_ext.engines.sadtalker.engine import SadTalkerEngine
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
from sadtalker_ext.errors import SettingsError, WeightsError
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks
from sadtalker_ext.geometry.mean_face import place_in_box
from sadtalker_ext.geometry.portrait import Portrait
from sadtalker_ext.models.exp_net import ExpNet
from sadtalker_ext.models.generator import Generator
from sadtalker_ext.models.keypoint_detector import KeypointDetector
from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
from sadtalker_ext.models.pose_vae import PoseVAE, PoseVAEConfig
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.training.sadtalker.check_run import STAGE_OF_PREFIX, check_run
from sadtalker_ext.training.sadtalker.export import Runs, export, is_official, read_runs
from sadtalker_ext.training.sadtalker.model_sizes import TINY
from sadtalker_ext.training.sadtalker.perceptual_loss import PYRAMIDS
from sadtalker_ext.training.sadtalker.train_all import TrainAllOptions, train_all
from sadtalker_ext.weights.check import check_content
from sadtalker_ext.weights.official import MAPPINGS, NETWORKS
from sadtalker_ext.weights.packaged import PACKAGED, PUPPET, read_packaged_config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A complete run of the tiny size, two steps per stage; tests must not change it."""
    folder = tmp_path_factory.mktemp("all")
    write_talking(folder / "data", size=TINY.size_px)
    train_all(options(folder), folder / "run", "abc")
    return folder


def options(folder, **changes):
    values = {"config": "tiny", "pyramid": PYRAMIDS["random"], "data": folder / "data", "changes": {"steps": 2}}
    return TrainAllOptions(**{**values, **changes})


@pytest.fixture
def copied(run, tmp_path):
    """A copy of the runs that a test may change."""
    shutil.copytree(run / "run", tmp_path / "run")
    return tmp_path / "run"


def test_the_export_has_the_official_prefixes_and_its_own_config(run):
    files = sorted(path.name for path in (run / "run" / "export").iterdir())
    assert files == ["SadTalker_V0.0.2_32.safetensors", *(MAPPINGS[count].converted for count in (73, 70))]
    packaged = run / "run" / "export" / files[0]
    config, trained = read_packaged_config(packaged)
    assert trained
    assert (config.size_px, config.coefficients, config.generator) == (32, PUPPET, TINY.generator)
    wanted = set()
    for prefix, make in NETWORKS.items():
        if prefix != "face_3drecon.":
            with torch.device("meta"):
                wanted |= {prefix + key for key in make(config).state_dict()}
    assert set(load_file(packaged)) == wanted
    check_content(replace(PACKAGED[256], name=packaged.name), packaged)
    with safe_open(packaged, "pt") as file:
        header = file.metadata()
    assert json.loads(header["styles"]) == ["ann", "bob"]
    assert header["exp_net.commit"] == "abc"
    assert "psnr" in header["renderer.figures"]


def test_all_exported_weights_are_those_of_the_training_states(run):
    findings = check_run(run / "run", run / "data")
    assert [finding for finding in findings if finding.check == "run"] == []
    packaged = next((run / "run" / "export").glob("SadTalker_V*.safetensors"))
    assert set(STAGE_OF_PREFIX) == {f"{key.partition('.')[0]}." for key in load_file(packaged)}


def portrait():
    picture = np.random.default_rng(0).integers(0, 256, (240, 200, 3)).astype(np.uint8)
    return Portrait(picture, Landmarks.from_mesh(place_in_box(FaceBox(60, 60, 80, 100)), "box"))


class Noise(Speech):
    def blocks(self, seconds=20.0, overlap_s=0.0):
        yield np.random.default_rng(1).standard_normal(self.sample_count).astype(np.float32) * 0.1


@pytest.mark.parametrize("mode", ["full", "crop"])
def test_the_engine_renders_the_export_at_its_own_size(run, mode):
    runtime = Runtime(device="cpu", batch_size=4, folders=(run / "run" / "export",))
    engine = SadTalkerEngine(runtime, SadTalkerOptions(512, mode))
    assert engine.spec.frame_size_px == 32
    assert engine.spec.label == "SadTalker 32 (trained)"
    assert engine.spec.pose_styles == ("0", "1")
    assert engine.spec.references == ("eyes", "pose", "eyes+pose")
    face = portrait()
    source = engine.read_face(face)
    assert np.abs(source.expression).max() == 0, "the puppet's shapes count from the portrait"
    motion = engine.predict_motion(Noise(Path("voice.wav"), 6 * 640), source, MotionStyle(pose_style="1"))
    frames = list(engine.render(face, source, motion))
    assert len(frames) == 6
    shape = face.picture.shape if mode == "full" else (engine._prepare_face(face).framing.output_px[1], 32, 3)
    assert frames[0].shape == shape
    engine.close()


def test_a_finished_run_is_skipped(run, caplog):
    before = {path: path.stat().st_mtime_ns for path in (run / "run").rglob("*.pt")}
    with caplog.at_level("INFO"):
        train_all(options(run), run / "run", "abc")
    assert before == {path: path.stat().st_mtime_ns for path in (run / "run").rglob("*.pt")}
    assert caplog.text.count("already done") == 5
    with pytest.raises(SettingsError, match="portraits was None, is elsewhere"):
        train_all(options(run, portraits=Path("elsewhere")), run / "run")


def test_a_finished_run_is_not_repeated_with_other_data(run, copied, tmp_path):
    shutil.copytree(run / "data", tmp_path / "data")
    card, record = tmp_path / "data" / "card.json", copied / "run.json"
    card.write_text(card.read_text().replace('"sources": "', '"sources": "other '))
    record.write_text(record.read_text().replace(str(run / "data"), str(tmp_path / "data")))
    with pytest.raises(SettingsError, match=r"was trained on other data .*use the data of that run, or choose another"):
        train_all(options(tmp_path), copied, "abc")


def respell(path, **changes):
    with safe_open(path, "pt") as file:
        header = {**file.metadata(), **changes}
    save_file(load_file(path), path, header)


def test_incompatible_and_missing_runs_are_refused(copied, tmp_path):
    respell(copied / "pose_vae" / "pose_vae.safetensors", coefficients="bfm")
    with pytest.raises(WeightsError, match=r"use different coefficients .*pose_vae bfm"):
        export(copied, tmp_path / "out")
    (copied / "exp_net" / "exp_net.safetensors").unlink()
    shutil.rmtree(copied / "mapping_73")
    with pytest.raises(WeightsError, match="has no finished exp_net, mapping_73"):
        export(copied, tmp_path / "out")


def test_mappings_with_another_number_of_keypoints_are_refused(copied, tmp_path):
    runs = read_runs(copied)
    path = copied / "mapping_70" / "mapping_70.safetensors"
    from sadtalker_ext.weights.safetensors_file import save_network

    save_network(path, MappingNet(MappingNetConfig(70, width=16)), "sadtalker-mapping", runs.headers["mapping_70"])
    with pytest.raises(WeightsError, match=r"different numbers of keypoints .*mapping_70 15"):
        export(copied, tmp_path / "out")


def test_coefficients_of_the_basel_model_need_face_recon(copied, tmp_path):
    for path in copied.glob("*/*.safetensors"):
        if path.parent.name != "export":
            respell(path, coefficients="bfm")
    with pytest.raises(WeightsError, match=r"weights fetch SadTalker_V0\.0\.2_256"):
        export(copied, tmp_path / "out", [tmp_path])
    recon = {f"face_3drecon.{key}": value for key, value in NETWORKS["face_3drecon."](None).state_dict().items()}
    save_file(recon, tmp_path / PACKAGED[256].name)
    packaged, *_ = export(copied, tmp_path / "out", [tmp_path])
    assert set(recon) < set(load_file(packaged))


def test_a_folder_may_contain_only_one_export(run, tmp_path):
    (tmp_path / "SadTalker_V0.0.2_256.safetensors").touch()
    with pytest.raises(WeightsError, match="already contains SadTalker_V0"):
        export(run / "run", tmp_path)


def test_only_official_sizes_are_exported_for_the_official_code():
    def runs(size_px="256", kind="bfm", **pose):
        with torch.device("meta"):
            networks = {
                "audio2exp.": ExpNet(), "audio2pose.": PoseVAE(PoseVAEConfig(**pose)), "generator.": Generator(),
                "kp_extractor.": KeypointDetector(),
            }  # fmt: skip
            mappings = {count: MappingNet(MappingNetConfig(count)) for count in MAPPINGS}
        return Runs(networks, mappings, {"renderer": {"size_px": size_px, "coefficients": kind}})

    assert is_official(runs(log_variance_head="linear_logvar"))
    assert not is_official(runs(size_px="128"))
    assert not is_official(runs(kind="puppet"))
    assert not is_official(runs(styles=60))
