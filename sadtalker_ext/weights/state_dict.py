"""Read and write state dicts in checkpoint files: strict keys and shapes; no code in a file is ever executed."""

from __future__ import annotations

import json
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.system.atomic_output import write_file
from sadtalker_ext.weights.errors import checkpoint_error
from sadtalker_ext.weights.network_shapes import shapes_only

Network = TypeVar("Network", bound=nn.Module)

PACKAGED_PREFIXES = ("audio2exp.", "audio2pose.", "face_3drecon.", "generator.", "kp_extractor.")
"""Key prefixes of the networks in a packaged file."""
NOT_FOR_INFERENCE = ("audio2pose.netG.encoder.", "audio2pose.netD_motion.")
"""Key prefixes of the parts of a packaged file that only training needs; they may be missing."""
REMEDY = "; replace it with the published file (see sadtalker weights list)"
MAX_NAMES_LISTED = 5
"""Names that an error message lists before it says "and N more"."""
HEADER_LENGTH_BYTES = 8
ZIP_START = b"PK\x03\x04"
UNREADABLE_TENSOR = (AttributeError, KeyError, RuntimeError, TypeError, ValueError)
"""Errors of ``get_tensor`` for a dtype that this version of torch lacks, besides those of safetensors itself."""
UNREADABLE_PICKLE = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    TypeError, ValueError, struct.error,
)  # fmt: skip
"""Errors of ``torch.load`` for damaged files: its unpickler executes the operations in the file one by one."""
MAX_HEADER_BYTES = 100_000_000
"""Longest header that the safetensors format allows."""


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of a safetensors file; WeightsError if it is malformed or does not match the file's size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(HEADER_LENGTH_BYTES)
        length = int.from_bytes(first, "little")
        if size < HEADER_LENGTH_BYTES or length > min(MAX_HEADER_BYTES, size):
            raise checkpoint_error(path, f"is not a safetensors file, {describe_start(path)}; fetch it again")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            ends = [_end_offset(entry) for key, entry in header.items() if key != "__metadata__"]
            _check_entries(header.get("__metadata__"))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
            raise checkpoint_error(path, f"is not a safetensors file, {describe_start(path)}; fetch it again") from e
    expected = HEADER_LENGTH_BYTES + length + max(ends, default=0)
    if size < expected:
        raise checkpoint_error(path, f"is truncated: {size:,} of {expected:,} bytes; fetch it again")
    if size > expected:
        raise checkpoint_error(path, f"is {size - expected:,} bytes longer than its header says; fetch it again")
    return header


def _end_offset(entry: dict[str, Any]) -> int:
    """Return the offset after the last byte of a tensor, relative to the end of the header."""
    start, end = entry["data_offsets"]
    if type(start) is not int or type(end) is not int or not 0 <= start <= end:
        raise ValueError("the offsets of a tensor are not two ascending integers")
    return end


def _check_entries(entries: dict[str, str] | None) -> None:
    """Raise ValueError unless ``__metadata__`` is absent or maps text to text."""
    if entries is not None and not all(isinstance(value, str) for value in entries.values()):
        raise ValueError("an entry of __metadata__ is not text")


def describe_start(path: Path) -> str:
    """Describe the first bytes of a file that is not a checkpoint, for error messages."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "it is empty"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "it is a web page saved under that name"
    if start.startswith(b"version https://git-lfs"):
        return "it is only a Git LFS pointer"
    return f"it starts with {start[:16]!r}"


def read_safetensors(path: Path, prefix: str = "") -> dict[str, Tensor]:
    """Return the tensors of a safetensors file whose keys have a prefix; memory-mapped: pages are read on first use."""
    from safetensors import SafetensorError, safe_open  # type: ignore[attr-defined]

    header = read_header(path)
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:  # type: ignore[no-untyped-call, attr-defined]
            keys = (key for key in header if key.startswith(prefix) and key != "__metadata__")
            return {key: file.get_tensor(key) for key in keys}
    except (OSError, SafetensorError, *UNREADABLE_TENSOR) as e:
        raise checkpoint_error(path, f"has tensors that cannot be read ({_first_line(e)}); fetch it again") from e


def split_packaged(tensors: Mapping[str, Tensor], source: Path) -> dict[str, dict[str, Tensor]]:
    """Split the tensors of a packaged file by network prefix (including the dot); the prefixes are removed.

    WeightsError with the names of keys that have none of :data:`PACKAGED_PREFIXES`.
    """
    parts: dict[str, dict[str, Tensor]] = {prefix: {} for prefix in PACKAGED_PREFIXES}
    unexpected = []
    for key, tensor in tensors.items():
        prefix = key.partition(".")[0] + "."
        if prefix in parts:
            parts[prefix][key.removeprefix(prefix)] = tensor
        else:
            unexpected.append(key)
    if unexpected:
        extra = _list(unexpected)
        raise checkpoint_error(source, f"is not a packaged SadTalker file: it has extra keys {extra}{REMEDY}")
    return parts


def read_pickle(path: Path) -> dict[str, Any]:
    """Return the content of a torch checkpoint (zip or old format): tensors, numbers, strings and containers.

    Anything else in the file raises a WeightsError; no code in it is executed.
    """
    mapped = _is_zip(path)
    with path.open("rb") as file:
        if file.read(len(ZIP_START)) == ZIP_START and not mapped:
            raise checkpoint_error(path, "is truncated, its end is missing; fetch it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch warns about pickles that are refused below anyway
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as e:
        raise checkpoint_error(
            path,
            f"was not loaded: it contains more than tensors, or is damaged ({_first_line(e)}); "
            "no code in it was executed; fetch it again from the project",
        ) from e
    except UNREADABLE_PICKLE as e:
        problem = f"cannot be read ({_first_line(e)}), {describe_start(path)}; fetch it again"
        raise checkpoint_error(path, problem) from e
    if not isinstance(content, dict):
        raise checkpoint_error(path, f"contains a {type(content).__name__} instead of a dict; fetch it again")
    return content


def _is_zip(path: Path) -> bool:
    try:
        return zipfile.is_zipfile(path)
    except zipfile.BadZipFile:  # raised for some damaged files
        return False


def read_entry(path: Path, entry: str) -> dict[str, Tensor]:
    """Return the state dict under the key ``entry`` of a torch checkpoint."""
    content = read_pickle(path)
    state = content.get(entry)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise checkpoint_error(path, f"has no state dict named {entry!r}; it contains {_list(content)}")
    return dict(state)


def load_strict(
    make: Callable[[], Network], tensors: Mapping[str, Tensor], source: Path, skipped: Iterable[str] = ()
) -> Network:
    """Return the network of ``make`` with exactly these tensors, which are not copied unless cast to float32.

    skipped: prefixes of keys that are neither required nor loaded; their parameters stay on the meta device.
    WeightsError if other keys or shapes do not match.
    """
    with shapes_only():
        network = make()
    expected = {key: value for key, value in network.state_dict().items() if not key.startswith(tuple(skipped))}
    loaded = {key: value for key, value in tensors.items() if not key.startswith(tuple(skipped))}
    check_keys(expected, loaded, source)
    for key, tensor in loaded.items():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            loaded[key] = tensor.float()
    network.load_state_dict(loaded, strict=False, assign=True)
    return network


def own_memory(network: Network, tensors: Mapping[str, Tensor]) -> Network:
    """Copy the parameters and buffers of ``network`` that are still in the memory of ``tensors``, and return it.

    A mapped file counts as memory of the process as long as one tensor in it is used.
    """
    mapped = {tensor.data_ptr() for tensor in tensors.values()}
    for module in network.modules():
        for name, parameter in module._parameters.items():
            if parameter is not None and parameter.data_ptr() in mapped:
                module._parameters[name] = nn.Parameter(parameter.detach().clone(), requires_grad=False)
        for name, buffer in module._buffers.items():
            if buffer is not None and buffer.data_ptr() in mapped:
                module._buffers[name] = buffer.clone()
    return network


def check_keys(expected: Mapping[str, Tensor], tensors: Mapping[str, Tensor], source: Path) -> None:
    """Raise a WeightsError with the names of missing, extra, wrongly shaped or integer instead of float tensors."""
    other = f"{source} is the checkpoint of another network"
    if missing := [key for key in expected if key not in tensors]:
        raise WeightsError(f"{other}: it lacks {_list(missing)}{REMEDY}")
    if extra := [key for key in tensors if key not in expected]:
        raise WeightsError(f"{other}: it has extra keys {_list(extra)}{REMEDY}")
    for key, tensor in expected.items():
        if tensor.shape != tensors[key].shape:
            shapes = f"{tuple(tensors[key].shape)}, not {tuple(tensor.shape)}"
            raise WeightsError(f"{other}: {key} has shape {shapes}{REMEDY}")
        if tensor.is_floating_point() and not tensors[key].is_floating_point():
            raise WeightsError(f"{other}: {key} has dtype {tensors[key].dtype}, not {tensor.dtype}{REMEDY}")


def save_safetensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file; it appears under its name when it is complete."""
    from safetensors import SafetensorError  # type: ignore[attr-defined]
    from safetensors.torch import save_file

    plain = {key: tensor.contiguous() for key, tensor in tensors.items()}
    write_file(path, lambda part: save_file(plain, part, metadata), WeightsError, (OSError, SafetensorError))


def _list(names: Iterable[str]) -> str:
    """Join up to :data:`MAX_NAMES_LISTED` names and say how many more there are."""
    listed = sorted(str(name) for name in names)
    more = len(listed) - MAX_NAMES_LISTED
    return ", ".join(listed[:MAX_NAMES_LISTED]) + (f" and {more} more" if more > 0 else "") if listed else "nothing"


def _first_line(error: Exception) -> str:
    """Return the first line of an error message, without torch's advice to disable ``weights_only``."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    useful = [line for line in lines if "weights_only" not in line and "Unpickler" not in line]
    return (useful or lines or [type(error).__name__])[0][:200]
