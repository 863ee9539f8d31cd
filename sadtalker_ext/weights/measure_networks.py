"""Load the networks of quality measures: SyncNet (LSE-C, LSE-D), Inception v3 (FID) and ArcFace (CSIM).

Files are read strictly, and no code in them is executed. :mod:`.measure_files` says where they come from.
"""

from __future__ import annotations

import re
import zipfile
from typing import TYPE_CHECKING, Any, Final, TypeVar

import torch
from torch import Tensor, nn

from sadtalker_ext.models.inception_v3 import FID_INCEPTION, TORCHVISION_INCEPTION, InceptionV3
from sadtalker_ext.models.iresnet import DEPTHS, IResNet, layers_of
from sadtalker_ext.models.s3fd import S3FD
from sadtalker_ext.models.syncnet import SyncNet
from sadtalker_ext.weights.errors import checkpoint_error
from sadtalker_ext.weights.measure_files import CSIM, FID, LSE, LSE_FACES
from sadtalker_ext.weights.network_shapes import shapes_only
from sadtalker_ext.weights.state_dict import load_strict, read_pickle, read_safetensors

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Network = TypeVar("Network", bound=nn.Module)
COUNTER: Final = ".num_batches_tracked"
"""End of the keys of counters that batch norms do not use for inference; older files do not have them."""
PREFIX: Final = "module."
"""Prefix of every key of a network that was trained with ``DataParallel``."""
STAGE_KEY: Final = re.compile(r"layer([1-4])\.(\d+)\.")


def load_syncnet(path: Path) -> SyncNet:
    """Load SyncNet from the public file or its safetensors copy."""
    return _load(SyncNet, read_state(path), path)


def load_s3fd(path: Path) -> S3FD:
    """Load the face detector S3FD from the public file of SyncNet's pipeline."""
    return _load(S3FD, read_state(path), path)


def load_inception(path: Path) -> InceptionV3:
    """Load the Inception v3 of pytorch-fid, or torchvision's; which one it is follows from the file."""
    state = read_state(path)
    outputs = state["fc.bias"].shape if "fc.bias" in state else ()
    config = TORCHVISION_INCEPTION if tuple(outputs) == (TORCHVISION_INCEPTION.classes,) else FID_INCEPTION
    return _load(lambda: InceptionV3(config), state, path)


def load_arcface(path: Path) -> IResNet:
    """Load an IResNet of InsightFace with 18, 34, 50, 100 or 200 layers; which one it is follows from the file."""
    state = read_state(path)
    found = [STAGE_KEY.match(key) for key in state]
    places = [(int(match[1]), int(match[2])) for match in found if match]
    blocks = tuple(1 + max((block for stage, block in places if stage == number), default=-1) for number in range(1, 5))
    layers = layers_of(blocks)
    if layers is None:
        listed = ", ".join(map(str, DEPTHS))
        raise checkpoint_error(
            path, f"has {blocks} blocks, which is no IResNet of {listed} layers; choose InsightFace's {CSIM.name}"
        )
    return _load(lambda: IResNet(layers), state, path)


LOADERS: Final[dict[str, Callable[[Path], nn.Module]]] = {
    LSE.measure: load_syncnet,
    LSE_FACES.measure: load_s3fd,
    FID.measure: load_inception,
    CSIM.measure: load_arcface,
}


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a file without the prefix of ``DataParallel``; WeightsError if there is none."""
    if path.suffix == ".safetensors":
        return read_safetensors(path)
    _refuse_torch_script(path)
    content: dict[str, Any] = read_pickle(path)
    if isinstance(content.get("state_dict"), dict):
        content = content["state_dict"]
    state = {str(key).removeprefix(PREFIX): value for key, value in content.items() if isinstance(value, Tensor)}
    if not state or len(state) < len(content):
        raise checkpoint_error(path, "does not contain the state dict of a network; choose the published file")
    return state


def _refuse_torch_script(path: Path) -> None:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as file:
            if any(name.endswith("/constants.pkl") for name in file.namelist()):
                raise checkpoint_error(
                    path, "is a TorchScript network, which contains code; choose the published state dict instead"
                )


def _load(make: Callable[[], Network], state: dict[str, Tensor], path: Path) -> Network:
    """Load strictly, for inference; counters of batch norms may be missing, other values must be finite."""
    with shapes_only():
        counters = [key for key in make().state_dict() if key.endswith(COUNTER)]
    zero = torch.zeros((), dtype=torch.int64)
    network = load_strict(make, {**dict.fromkeys(counters, zero), **state}, path)
    broken = next((key for key, value in state.items() if not bool(value.isfinite().all())), None)
    if broken is not None:
        raise checkpoint_error(path, f"is damaged: {broken} has values that are not finite; fetch it again")
    return network.eval().requires_grad_(requires_grad=False)
