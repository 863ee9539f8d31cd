"""Networks of public quality measures: SyncNet (LSE-C, LSE-D), Inception v3 (FID) and ArcFace (CSIM).

Their files are not part of this package and are never downloaded; the user puts them into a checkpoint folder, or names
them. They are read strictly, and no code in them is executed.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from torch import nn

from sadtalker_ext.errors import FileRef, WeightsError
from sadtalker_ext.weights.errors import checkpoint_error
from sadtalker_ext.weights.files import find_file, find_similar_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from sadtalker_ext.models.inception_v3 import InceptionV3
    from sadtalker_ext.models.iresnet import IResNet
    from sadtalker_ext.models.syncnet import SyncNet

Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class MeasureFile:
    """A public file that a measure needs.

    measure: name of the measure, also of its flags. name: file name. url: where its authors publish it.
    purpose, licence: short descriptions. others: names of files with the same network that are also found.
    """

    measure: str
    name: str
    url: str
    purpose: str
    licence: str
    others: tuple[str, ...] = ()


LSE: Final = MeasureFile(
    "lse", "syncnet_v2.model", "http://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
    "SyncNet, for LSE-C and LSE-D", "see the page of its authors (Visual Geometry Group, Oxford)",
    ("syncnet_v2.safetensors",),
)  # fmt: skip
FID: Final = MeasureFile(
    "fid", "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "Inception v3 of the original FID, in the layout of pytorch-fid", "Apache-2.0",
    ("inception_v3_google-0cc3c7bd.pth",),
)  # fmt: skip
CSIM: Final = MeasureFile(
    "csim", "backbone.pth", "https://github.com/deepinsight/insightface/tree/master/recognition/arcface_torch#model-zoo",
    "ArcFace, an IResNet of InsightFace (ms1mv3_arcface_r50_fp16 or r100), for CSIM", "non-commercial research only",
    ("ms1mv3_arcface_r50_fp16_backbone.pth", "ms1mv3_arcface_r100_fp16_backbone.pth"),
)  # fmt: skip
MEASURE_FILES: Final = (LSE, FID, CSIM)
COUNTER: Final = ".num_batches_tracked"
"""End of the keys of counters that batch norms do not use for inference; older files do not have them."""
PREFIX: Final = "module."
"""Prefix of every key of a network that was trained with ``DataParallel``."""
STAGE_KEY: Final = re.compile(r"layer([1-4])\.(\d+)\.")


def find_measure_file(entry: MeasureFile, folders: Sequence[Path]) -> Path | None:
    """Return the file of a measure in the first folder that has one, or None."""
    for folder in folders:
        for name in (entry.name, *entry.others):
            if found := find_file(name, [folder]):
                return found
    return None


def require_measure_file(entry: MeasureFile, folders: Sequence[Path], named: Path | None = None) -> Path:
    """Return ``named``, or the file of a measure in a folder.

    WeightsError with its name, its source and the folders if it is missing.
    """
    if named is not None:
        if named.is_file():
            return named
        raise WeightsError("The ", FileRef("checkpoint", named), f" ({entry.purpose}) does not exist; choose another")
    if found := find_measure_file(entry, folders):
        return found
    if similar := find_similar_name(entry.name, folders):
        raise WeightsError(
            f"The file {entry.name} is in the ", FileRef("folder", similar.parent), f" under the name "
            f"{similar.name!r}; rename it to exactly {entry.name}",
        )  # fmt: skip
    searched = [part for folder in folders for part in (", ", FileRef("folder", folder))][1:]
    raise WeightsError(
        f"The measure {entry.measure} needs the file {entry.name} ({entry.purpose}), which was not found in: ",
        *searched, f"; download it from {entry.url} and put it into one of them, or name it with "
        f"--{entry.measure}-network FILE",
    )  # fmt: skip


def load_syncnet(path: Path) -> SyncNet:
    """Load SyncNet from the public file or its safetensors copy."""
    from sadtalker_ext.models.syncnet import SyncNet

    return _load(SyncNet, read_state(path), path)


def load_inception(path: Path) -> InceptionV3:
    """Load the Inception v3 of pytorch-fid, or torchvision's; which one it is follows from the file."""
    from sadtalker_ext.models.inception_v3 import FID_INCEPTION, TORCHVISION_INCEPTION, InceptionV3

    state = read_state(path)
    outputs = state["fc.bias"].shape if "fc.bias" in state else ()
    config = TORCHVISION_INCEPTION if tuple(outputs) == (TORCHVISION_INCEPTION.classes,) else FID_INCEPTION
    return _load(lambda: InceptionV3(config), state, path)


def load_arcface(path: Path) -> IResNet:
    """Load an IResNet of InsightFace with 18, 34, 50, 100 or 200 layers; which one it is follows from the file."""
    from sadtalker_ext.models.iresnet import DEPTHS, IResNet, layers_of

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
    LSE.measure: load_syncnet, FID.measure: load_inception, CSIM.measure: load_arcface
}  # fmt: skip


def read_state(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a file without the prefix of ``DataParallel``; WeightsError if there is none."""
    from torch import Tensor

    from sadtalker_ext.weights.state_dict import read_pickle, read_safetensors

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
    """Load strictly, for inference; counters of batch norms may be missing."""
    import torch

    from sadtalker_ext.weights.state_dict import load_strict

    with torch.device("meta"):
        counters = [key for key in make().state_dict() if key.endswith(COUNTER)]
    zero = torch.zeros((), dtype=torch.int64)
    network = load_strict(make, {**dict.fromkeys(counters, zero), **state}, path)
    return network.eval().requires_grad_(requires_grad=False)
