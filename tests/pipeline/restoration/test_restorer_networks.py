"""Files of restorers and upscalers: found, read without executing code, opened with spandrel, or refused."""

import pickle
import sys
import types

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sadtalker_ext.errors import MissingPackageError, SettingsError, WeightsError
from sadtalker_ext.pipeline.restoration import networks
from sadtalker_ext.pipeline.restoration.files import open_restorer_file
from sadtalker_ext.pipeline.restoration.networks import open_picture_network
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.weights.random_weights import random_state
from sadtalker_ext.weights.restorer_files import find_restorer, read_restorer
from sadtalker_ext.weights.restorer_listing import restorer_files

CPU = Runtime(device="cpu")


def spandrel_problem():
    """Return why spandrel cannot be imported; empty if it can."""
    try:
        networks._import_spandrel()
    except MissingPackageError as e:
        return str(e)
    return ""


SPANDREL_PROBLEM = spandrel_problem()
needs_spandrel = pytest.mark.skipif(bool(SPANDREL_PROBLEM), reason=SPANDREL_PROBLEM or "spandrel can be used")


class UnsupportedError(Exception):
    pass


class Architecture:
    """Stub for a model of spandrel that repeats each pixel."""

    def __init__(self, name, purpose, scale=1, channels=3):
        self.architecture, self.purpose, self.scale = types.SimpleNamespace(name=name), purpose, scale
        self.input_channels = self.output_channels = channels
        self.calls = []

    def eval(self):
        return self

    def to(self, device):
        return self

    def __call__(self, given):
        self.calls.append(given)
        return given.repeat_interleave(self.scale, dim=2).repeat_interleave(self.scale, dim=3)

    def model(self, given, **options):
        self.calls.append((given, options))
        return given * 0.5, None


class Registry:
    """Stub for the registry of spandrel that recognises a network by one of its keys."""

    def __init__(self, known):
        self.known = known

    def copy(self):
        return self

    def load(self, state):
        for key, model in self.known.items():
            if key in state:
                if "broken" in state:
                    raise RuntimeError("Error(s) in loading state_dict for Net:\n\tMissing key(s): body.0")
                return model
        raise UnsupportedError


@pytest.fixture
def known(monkeypatch):
    """Replace spandrel by a stub that knows a few networks; returns them by key."""
    models = {
        "face": Architecture("RestoreFormer", "FaceSR"),
        "toRGB": Architecture("GFPGAN", "FaceSR"),
        "codes": Architecture("CodeFormer", "FaceSR"),
        "body": Architecture("ESRGAN", "SR", scale=2),
        "grey": Architecture("Grey", "SR", channels=1),
    }
    fake = types.SimpleNamespace(MAIN_REGISTRY=Registry(models), UnsupportedModelError=UnsupportedError)
    monkeypatch.setattr(networks, "_import_spandrel", lambda: fake)
    monkeypatch.setitem(sys.modules, "spandrel_extra_arches", None)
    return models


def save(path, *keys, wrap="params_ema"):
    state = {key: torch.zeros(2) for key in keys}
    torch.save({wrap: state} if wrap else state, path)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SADTALKER_CHECKPOINTS", raising=False)
    return tmp_path


def test_files_are_found_with_and_without_suffix_in_any_case(folder):
    path = save(folder / "GFPGANv1.4.pth", "toRGB")
    (folder / "mapping_00109-model.pth.tar").write_bytes(b"1")
    (folder / "mapping_00109-model.safetensors").write_bytes(b"1")
    (folder / "notes.txt").write_text("1")
    for name in ("GFPGANv1.4.pth", "GFPGANv1.4", "gfpganv1.4", "GFPGANV1.4.PTH"):
        assert find_restorer(name, [folder]) == path
    assert find_restorer("GFPGAN", [folder]) is None
    assert restorer_files([folder / "nowhere", folder]) == [path]


@pytest.mark.parametrize("wrap", ["params_ema", "params", "state_dict", "model", ""])
def test_state_dicts_are_unwrapped(folder, wrap):
    assert set(read_restorer(save(folder / "a.pth", "toRGB", "b", wrap=wrap))) == {"toRGB", "b"}


def test_averaged_weights_are_preferred(folder):
    torch.save({"params": {"a": torch.zeros(1)}, "params_ema": {"a": torch.ones(1)}}, folder / "a.pth")
    assert read_restorer(folder / "a.pth")["a"].item() == 1


def test_safetensors_files_are_read(folder):
    save_file({"body": torch.ones(3)}, folder / "x4.safetensors")
    assert read_restorer(folder / "x4.safetensors")["body"].sum() == 3


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_nothing_in_a_file_is_executed(folder):
    torch.save({"params_ema": {"toRGB": torch.zeros(1)}, "extra": Bomb(folder / "fired")}, folder / "evil.pth")
    (folder / "old.pth").write_bytes(pickle.dumps(Bomb(folder / "fired")))
    for name in ("evil.pth", "old.pth"):
        with pytest.raises(WeightsError, match="no code in it was executed"):
            read_restorer(folder / name)
    assert not (folder / "fired").exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read"),
        (b"<!DOCTYPE html><html>", "contains more than tensors, or is damaged|web page"),
        (b"version https://git-lfs.github.com/spec/v1", "contains more than tensors, or is damaged|large file"),
    ],
)
def test_files_that_are_not_checkpoints_are_refused(folder, content, words):
    (folder / "a.pth").write_bytes(content)
    with pytest.raises(WeightsError, match=words):
        read_restorer(folder / "a.pth")


def test_truncated_file_is_refused(folder):
    path = folder / "a.pth"
    torch.save({"params": {"a": torch.zeros(20000)}}, path)
    path.write_bytes(path.read_bytes()[:30000])
    with pytest.raises(WeightsError, match=r"a\.pth"):
        read_restorer(path)


def test_file_without_a_state_dict_is_refused(folder):
    torch.save({"epoch": 3, "best": [1.0]}, folder / "a.pth")
    with pytest.raises(WeightsError, match="does not contain a state dict"):
        read_restorer(folder / "a.pth")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (("unknown",), "is not a face restorer or upscaler that spandrel supports"),
        (("body", "broken"), "does not fit the architecture that it appears to have .*Missing key"),
        (("grey",), "has the architecture Grey, which does not map colour pictures"),
    ],
)
def test_files_that_spandrel_cannot_use_are_refused(folder, known, keys, words):
    path = save(folder / "a.pth", *keys)
    with pytest.raises(WeightsError, match=words):
        open_picture_network(path, CPU)


def test_network_call_scales_levels_to_0_and_1_and_back(folder, known):
    network = open_picture_network(save(folder / "a.pth", "body"), CPU)
    assert (network.name, network.scale, network.faces) == ("ESRGAN", 2, False)
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3) * 5
    out = network(picture)
    assert out.dtype == np.float32
    assert np.allclose(out, picture.repeat(2, axis=0).repeat(2, axis=1), atol=1e-3)
    (given,) = known["body"].calls
    assert (given.shape, float(given.max())) == ((1, 3, 4, 4), pytest.approx(picture.max() / 255))


@pytest.mark.parametrize(
    ("key", "options"),
    [("toRGB", {"return_rgb": False, "randomize_noise": False}), ("codes", {"weight": 1.0, "adain": True})],
)
def test_gfpgan_and_codeformer_get_values_from_minus_one_to_one(folder, known, key, options):
    """The stub halves its input, which moves white halfway to grey."""
    network = open_picture_network(save(folder / "a.pth", key), CPU)
    out = network(np.full((4, 4, 3), 255, np.uint8))
    assert np.allclose(out, 255 * 0.75)
    ((given, used),) = known[key].calls
    assert given.min() == 1
    assert used == options


def test_file_must_match_the_setting_that_names_it(folder, known):
    save(folder / "face.pth", "face")
    save(folder / "x2.pth", "body")
    runtime = Runtime(device="cpu", folders=(folder,))
    assert type(open_restorer_file("face", "restore", [], runtime)).__name__ == "FaceRestorer"
    assert type(open_restorer_file("x2", "upscale", [], runtime)).__name__ == "FrameUpscaler"
    with pytest.raises(WeightsError, match=r"architecture ESRGAN, .* use it for the setting upscale"):
        open_restorer_file("x2", "restore", [], runtime)
    with pytest.raises(WeightsError, match=r"RestoreFormer, .* use it for the setting restore"):
        open_restorer_file("face", "upscale", [], runtime)
    with pytest.raises(SettingsError, match=r"no upscaler named 'y' \(available: Host's, face\.pth, x2\.pth\)"):
        open_restorer_file("y", "upscale", ["Host's"], runtime)


def test_missing_or_broken_package_is_reported(folder, monkeypatch):
    path = save(folder / "a.pth", "body")
    monkeypatch.setitem(sys.modules, "spandrel", None)
    with pytest.raises(MissingPackageError, match=r"need the package spandrel; run: pip install .*\[restore\]"):
        open_picture_network(path, CPU)
    monkeypatch.delitem(sys.modules, "spandrel")
    (folder / "spandrel.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.syspath_prepend(folder)
    with pytest.raises(MissingPackageError, match=r"nms does not exist.*install matching releases"):
        open_picture_network(path, CPU)
    (folder / "spandrel.py").write_text("import a_missing_package")
    sys.modules.pop("spandrel", None)
    with pytest.raises(MissingPackageError, match="needs a_missing_package"):
        open_picture_network(path, CPU)


@needs_spandrel
def test_spandrel_upscaler_is_recognised_by_its_keys(folder):
    """A small RRDB network, saved like the files of Real-ESRGAN, gives the same result as a direct call of spandrel."""
    from spandrel import ImageModelDescriptor, ModelLoader
    from spandrel.architectures.ESRGAN import ESRGAN

    torch.manual_seed(0)
    state = ESRGAN(in_nc=12, num_filters=8, num_blocks=1, scale=4, shuffle_factor=2).state_dict()
    torch.save({"params_ema": state}, folder / "x2.pth")
    network = open_picture_network(folder / "x2.pth", CPU)
    assert (network.scale, network.faces) == (2, False)
    picture = np.random.default_rng(0).integers(0, 256, (13, 18, 3), np.uint8)
    model = ModelLoader().load_from_state_dict({key: value.clone() for key, value in state.items()})
    assert isinstance(model, ImageModelDescriptor)
    expected = model(torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255)[0].permute(1, 2, 0).numpy() * 255
    assert network(picture).shape == (26, 36, 3)
    assert np.allclose(network(picture), expected, atol=1e-2)


@needs_spandrel
def test_spandrel_face_restorer_is_deterministic(folder):
    """A complete GFPGAN with random weights is recognised by its keys and gives the same result twice."""
    from spandrel.architectures.GFPGAN import GFPGAN

    torch.save({"params_ema": random_state("gfpgan.", GFPGAN())}, folder / "GFPGANv1.4.pth")
    opened = open_picture_network(folder / "GFPGANv1.4.pth", CPU)
    assert (opened.name, opened.faces, opened.scale) == ("GFPGAN", True, 1)
    square = np.random.default_rng(0).integers(0, 256, (512, 512, 3), np.uint8)
    first = opened(square)
    assert first.shape == (512, 512, 3)
    assert np.isfinite(first).all()
    assert first.std() > 1
    assert np.array_equal(first, opened(square))
