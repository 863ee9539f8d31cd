"""Read and write this project's own networks: one .safetensors file with config, origin and hash in its header.

Reading is strict: a file of another kind, a damaged file, and tensors that do not fit the config are refused.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.config_json import config_from_json, parse_json_object

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from contextlib import AbstractContextManager

    from torch import Tensor, nn

LIMIT_RATIO: Final = 16
"""Elements of tensors that are made with a network, per element of its file: initialisation returns them repeatedly."""
SPARE_ELEMENTS: Final = 1 << 24
"""Further elements, for windows, filters and other constants that are not in the file."""
"""Module of the functions that give new parameters random values."""
ConfigT = TypeVar("ConfigT")
NetworkT = TypeVar("NetworkT", bound="nn.Module")


class SafetensorsFile(NamedTuple):
    """Content of a file: its kind, the config as plain values, all header entries, and tensors by name."""

    kind: str
    config: dict[str, Any]
    header: dict[str, str]
    tensors: dict[str, Tensor]


def save_network(path: Path, network: nn.Module, kind: str, origin: Mapping[str, str]) -> None:
    """Write ``network``, whose ``config`` is a dataclass; the file appears under its name when it is complete.

    origin: header entries that say where the weights come from, such as recipe, data and commit.
    """
    from sadtalker_ext.weights.state_dict import save_safetensors

    tensors = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    config: Any = network.config
    header = {**origin, "kind": kind, "config": json.dumps(asdict(config)), "sha256": tensors_sha256(tensors)}
    save_safetensors(tensors, path, header)


def read_safetensors_file(path: Path, kind: str) -> SafetensorsFile:
    """Read and check ``path``; WeightsError if it is missing, damaged or of another kind."""
    from sadtalker_ext.weights.state_dict import UNREADABLE_TENSOR

    if not path.exists():
        raise WeightsError(f"{path} cannot be read (it does not exist); {_remedy(path)}")
    safetensors: Any = import_module("safetensors")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (OSError, safetensors.SafetensorError, *UNREADABLE_TENSOR) as error:
        raise WeightsError(f"{path} cannot be read ({error}); {_remedy(path)}") from error
    if header.get("kind") != kind:
        found = header.get("kind", "unnamed weights")
        raise WeightsError(f"{path} contains {found!r}, not {kind!r}; choose another file")
    if header.get("sha256") != tensors_sha256(tensors):
        raise WeightsError(f"{path} is damaged: its tensors do not match its hash; {_remedy(path)}")
    return SafetensorsFile(kind, parse_json_object(header.get("config", ""), path), header, tensors)


def _remedy(path: Path) -> str:
    """Return what to do about a file that cannot be used: of the package, or of the user."""
    if path.resolve().parent == Path(__file__).resolve().parent:
        return "install the package again"
    return "train it again, or choose another file"


def load_network(
    path: Path, kind: str, network_type: Callable[[ConfigT], NetworkT], config_type: type[ConfigT]
) -> NetworkT:
    """Return the network in ``path``, built from the config in its header, on the CPU, frozen, in eval mode.

    WeightsError if the file cannot be read, the config is invalid, or the tensors do not fit it.
    """
    file = read_safetensors_file(path, kind)
    config = config_from_json(config_type, file.config, path)
    return fill_network(lambda: network_type(config), file.tensors, path)


def fill_network(make: Callable[[], NetworkT], tensors: Mapping[str, Tensor], path: Path) -> NetworkT:
    """Return the network of ``make`` with these tensors, on the CPU, frozen, in eval mode.

    WeightsError if ``make`` fails for the config of ``path``, or the tensors do not fit.
    """
    try:
        with allocation_limit(SPARE_ELEMENTS + LIMIT_RATIO * sum(tensor.numel() for tensor in tensors.values())):
            network = make()
        network.load_state_dict(tensors, strict=True)  # fills what the context left without values
    except (ArithmeticError, AssertionError, LookupError, TypeError, ValueError, RuntimeError) as error:
        reason = str(error).partition("Exception raised from")[0].strip()  # torch appends its C++ stack
        raise WeightsError(f"{path} does not fit this version of the package ({reason}); {_remedy(path)}") from error
    return network.eval().requires_grad_(requires_grad=False)


def allocation_limit(elements: int) -> AbstractContextManager[object]:
    """Return a context in which torch functions may return tensors with ``elements`` elements in all.

    The config in a file decides about the sizes of its network, which must not be much larger than the file. Memory is
    not used before a tensor is filled, so that one tensor too large costs nothing. ValueError beyond the limit.

    Parameters have no defined values: those of ``torch.nn.init`` would be replaced, and drawing them would take time
    and change the random numbers of the program that uses this package.
    """
    from torch import Tensor
    from torch.overrides import TorchFunctionMode

    from sadtalker_ext.weights.network_shapes import is_initializer

    class Limit(TorchFunctionMode):
        left = elements

        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
            if is_initializer(func):
                return args[0] if args else kwargs["tensor"]
            result = func(*args, **(kwargs or {}))
            if isinstance(result, Tensor):
                self.left -= result.numel()
            if self.left < 0:
                raise ValueError("its config describes a network that is larger than its tensors")
            return result

    return Limit()


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of the names, shapes, dtypes and bytes of ``tensors``, in order of name."""
    import torch

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)  # numpy lacks bfloat16 and float8
    return digest.hexdigest()
