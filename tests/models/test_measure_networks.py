"""SyncNet, Inception v3 and ArcFace equal their public code with seeded weights, read from files of its layout."""

import pytest
import seeded_networks as seeded
import torch
from safetensors.torch import save_file

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.models.inception_v3 import FID_INCEPTION, TORCHVISION_INCEPTION, InceptionV3
from sadtalker_ext.models.iresnet import IResNet
from sadtalker_ext.models.syncnet import SyncNet
from sadtalker_ext.weights.measure_files import CSIM, FID, LSE, MEASURE_FILES, require_measure_file
from sadtalker_ext.weights.measure_networks import load_arcface, load_inception, load_syncnet


@pytest.fixture(scope="module")
def syncnet_file(tmp_path_factory):
    """The seeded SyncNet as a file of the public kind: torch's old format, without counters of batch norms."""
    path = tmp_path_factory.mktemp("syncnet") / LSE.name
    state = seeded.seeded_state("syncnet.", SyncNet())
    old = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    torch.save(old, path, _use_new_zipfile_serialization=False)
    return path


def test_syncnet_equals_the_public_code(syncnet_file):
    network = load_syncnet(syncnet_file)
    with torch.inference_mode():
        face, sound = network(seeded.faces(), seeded.coefficients())
    seeded.assert_public(face, "syncnet_lip")
    seeded.assert_public(sound, "syncnet_aud")


@pytest.mark.parametrize(("name", "config"), [("fid", FID_INCEPTION), ("torchvision", TORCHVISION_INCEPTION)])
def test_both_variants_of_inception_equal_the_public_code(tmp_path, name, config):
    state = seeded.seeded_state("inception.", InceptionV3(config))
    save_file(state, tmp_path / "inception.safetensors")
    network = load_inception(tmp_path / "inception.safetensors")
    assert network.config == config
    with torch.inference_mode():
        seeded.assert_public(network(seeded.pictures()), f"inception_{name}")


@pytest.mark.parametrize("layers", [50, 100])
def test_arcface_equals_the_public_code(tmp_path, layers):
    state = seeded.seeded_state("iresnet.", IResNet(layers))
    path = tmp_path / CSIM.name
    torch.save({f"module.{key}": value for key, value in state.items()}, path)
    with torch.inference_mode():
        seeded.assert_public(load_arcface(path)(seeded.aligned()), f"iresnet{layers}")


def test_files_of_other_networks_are_refused(tmp_path, syncnet_file):
    with pytest.raises(WeightsError, match=r"is the checkpoint of another network: it lacks AuxLogits|it lacks Conv2d"):
        load_inception(syncnet_file)
    with pytest.raises(WeightsError, match=r"has \(0, 0, 0, 0\) blocks, which is no IResNet of 18, 34"):
        load_arcface(syncnet_file)
    path = tmp_path / "extra.model"
    torch.save({**torch.load(syncnet_file, weights_only=True), "netfclip.9.bias": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=r"extra keys netfclip\.9\.bias"):
        load_syncnet(path)
    torch.save({"epoch": 3}, path)
    with pytest.raises(WeightsError, match="does not contain the state dict of a network"):
        load_syncnet(path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(tmp_path, syncnet_file, value):
    """The scores would be NaN without any reason given."""
    state = torch.load(syncnet_file, weights_only=True)
    state["netfclip.3.bias"][7] = value
    torch.save(state, tmp_path / "damaged.model")
    with pytest.raises(WeightsError, match=r"damaged: netfclip\.3\.bias has values that are not finite; fetch"):
        load_syncnet(tmp_path / "damaged.model")


def test_truncated_files_and_pages_are_refused(tmp_path):
    state = seeded.seeded_state("iresnet.", IResNet(18))
    path = tmp_path / CSIM.name
    torch.save(state, path)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    with pytest.raises(WeightsError, match="is truncated, its end is missing; fetch it again"):
        load_arcface(path)
    path.write_bytes(b"<!DOCTYPE html><html>404</html>")
    with pytest.raises(WeightsError, match=r"damaged .*fetch it again"):
        load_arcface(path)
    torch.save({**state, "conv1.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(WeightsError, match=r"conv1\.weight has shape \(2, 2\), not \(64, 3, 3, 3\)"):
        load_arcface(path)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_files_with_code_are_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "code.pt"))
    with pytest.raises(WeightsError, match=r"code\.pt is a TorchScript network, which contains code"):
        load_syncnet(tmp_path / "code.pt")
    torch.save(SyncNet, tmp_path / "module.pt")
    with pytest.raises(WeightsError, match="no code in it was executed"):
        load_syncnet(tmp_path / "module.pt")


@pytest.mark.parametrize("entry", MEASURE_FILES)
def test_a_missing_file_is_named_with_its_source_and_the_folders(tmp_path, entry):
    with pytest.raises(WeightsError) as caught:
        require_measure_file(entry, [tmp_path / "one", tmp_path / "two"])
    for part in (entry.name, entry.url, str(tmp_path / "one"), str(tmp_path / "two"), f"--{entry.measure}-network"):
        assert part in str(caught.value)
    assert ". " not in str(caught.value), "one sentence"


def test_files_are_found_under_all_their_names(tmp_path):
    other = tmp_path / FID.others[0]
    other.write_bytes(b"x")
    assert require_measure_file(FID, [tmp_path / "absent", tmp_path]) == other
    (tmp_path / "Backbone.pth.txt").write_bytes(b"x")
    with pytest.raises(WeightsError, match=r"under the name 'Backbone\.pth\.txt'; rename it to exactly backbone\.pth"):
        require_measure_file(CSIM, [tmp_path])
    with pytest.raises(WeightsError, match=r"gone\.pth .* does not exist"):
        require_measure_file(CSIM, [], tmp_path / "gone.pth")
