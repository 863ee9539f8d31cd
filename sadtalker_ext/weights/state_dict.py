"""State dicts in and out of checkpoint files: exact prefixes, strict, nothing in a file is ever executed."""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from sadtalker_ext.atomic_output import write_file
from sadtalker_ext.errors import WeightsError

Network = TypeVar("Network", bound=nn.Module)

PACKAGED_PREFIXES = ("audio2exp.", "audio2pose.", "face_3drecon.", "generator.", "kp_extractor.")
"""Networks of a packaged file; every key begins with one of these."""
NOT_FOR_INFERENCE = ("audio2pose.netG.encoder.", "audio2pose.netD_motion.")
"""Parts of a packaged file that only training needs; they may be missing."""
REMEDY = "; put the published file in its place (sadtalker weights fetch)"
NAMED_AT_MOST = 5
HEADER_LENGTH_BYTES = 8
ZIP_START = b"PK\x03\x04"
LONGEST_HEADER_BYTES = 100_000_000


def read_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file, checked against its size; a WeightsError says what is wrong with the file."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(HEADER_LENGTH_BYTES)
        length = int.from_bytes(first, "little")
        if size < HEADER_LENGTH_BYTES or length > min(LONGEST_HEADER_BYTES, size):
            raise WeightsError(f"{path} is not a safetensors file, {described_start(path)}; fetch it again")
        try:
            header: dict[str, Any] = json.loads(file.read(length))
            ends = [entry["data_offsets"][1] for key, entry in header.items() if key != "__metadata__"]
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise WeightsError(f"{path} is not a safetensors file, {described_start(path)}; fetch it again") from e
    expected = HEADER_LENGTH_BYTES + length + max(ends, default=0)
    if size < expected:
        raise WeightsError(f"{path} is cut short: {size:,} of {expected:,} bytes; fetch it again")
    if size > expected:
        raise WeightsError(f"{path} is {size - expected:,} bytes longer than its header says; fetch it again")
    return header


def described_start(path: Path) -> str:
    """What the first bytes of a file that is no checkpoint look like."""
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "it is empty"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html")):
        return "it is a web page saved under that name"
    if start.startswith(b"version https://git-lfs"):
        return "it is only the pointer of a large file (git lfs)"
    return f"it begins with {start[:16]!r}"


def read_safetensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, mapped from disk: pages are read when they are used."""
    from safetensors import safe_open

    header = read_header(path)
    with safe_open(str(path), framework="pt", device="cpu") as file:  # type: ignore[no-untyped-call, attr-defined]
        return {key: file.get_tensor(key) for key in header if key != "__metadata__"}


def split_packaged(tensors: Mapping[str, Tensor], source: Path) -> dict[str, dict[str, Tensor]]:
    """Tensors of a packaged file by network prefix (with its dot), prefixes taken off; foreign keys are named."""
    parts: dict[str, dict[str, Tensor]] = {prefix: {} for prefix in PACKAGED_PREFIXES}
    foreign = []
    for key, tensor in tensors.items():
        prefix = key.partition(".")[0] + "."
        if prefix in parts:
            parts[prefix][key.removeprefix(prefix)] = tensor
        else:
            foreign.append(key)
    if foreign:
        raise WeightsError(f"{source} is not a packaged SadTalker file: it also holds {_named(foreign)}{REMEDY}")
    return parts


def read_pickle(path: Path) -> dict[str, Any]:
    """A torch checkpoint (zip or old format) of tensors, numbers, strings and containers; anything else is refused."""
    mapped = zipfile.is_zipfile(path)
    with path.open("rb") as file:
        if file.read(len(ZIP_START)) == ZIP_START and not mapped:
            raise WeightsError(f"{path} is cut short, its end is missing; fetch it again")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # torch's own words on pickles that are refused below
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as e:
        raise WeightsError(
            f"{path} was not loaded: it holds more than tensors, or is damaged ({_first_line(e)}); "
            "nothing in it was executed; fetch it again from the project"
        ) from e
    except (RuntimeError, OSError, EOFError, ValueError, KeyError) as e:
        raise WeightsError(f"{path} cannot be read ({_first_line(e)}), {described_start(path)}; fetch it again") from e
    if not isinstance(content, dict):
        raise WeightsError(f"{path} holds a {type(content).__name__} instead of named entries; fetch it again")
    return content


def read_entry(path: Path, entry: str) -> dict[str, Tensor]:
    """The state dict under ``entry`` of a torch checkpoint."""
    content = read_pickle(path)
    state = content.get(entry)
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise WeightsError(f"{path} has no state dict named {entry!r}; it holds {_named(content)}")
    return dict(state)


def load_strict(
    make: Callable[[], Network], tensors: Mapping[str, Tensor], source: Path, skipped: Iterable[str] = ()
) -> Network:
    """A network with exactly these tensors, without copying them.

    skipped: beginnings of keys that are neither needed nor loaded; their parameters stay without memory.
    """
    with torch.device("meta"):
        network = make()
    wanted = {key: value for key, value in network.state_dict().items() if not key.startswith(tuple(skipped))}
    given = {key: value for key, value in tensors.items() if not key.startswith(tuple(skipped))}
    check_keys(wanted, given, source)
    for key, tensor in given.items():
        if tensor.is_floating_point() and tensor.dtype != torch.float32:
            given[key] = tensor.float()
    network.load_state_dict(given, strict=False, assign=True)
    return network


def check_keys(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor], source: Path) -> None:
    """Refuse missing, left-over and wrongly shaped tensors, by name."""
    missing = [key for key in wanted if key not in given]
    if missing:
        raise WeightsError(f"{source} is a checkpoint of something else: it lacks {_named(missing)}{REMEDY}")
    left_over = [key for key in given if key not in wanted]
    if left_over:
        raise WeightsError(f"{source} is a checkpoint of something else: it also holds {_named(left_over)}{REMEDY}")
    for key, tensor in wanted.items():
        if tensor.shape != given[key].shape:
            raise WeightsError(
                f"{source} is a checkpoint of something else: {key} has shape {tuple(given[key].shape)}, "
                f"not {tuple(tensor.shape)}{REMEDY}"
            )


def save_safetensors(tensors: Mapping[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """Write a safetensors file; it appears under its name only when it is complete."""
    from safetensors import SafetensorError  # type: ignore[attr-defined]
    from safetensors.torch import save_file

    plain = {key: tensor.contiguous() for key, tensor in tensors.items()}
    write_file(path, lambda part: save_file(plain, part, metadata), WeightsError, (OSError, SafetensorError))


def _named(names: Iterable[str]) -> str:
    """Up to five names and how many more there are."""
    listed = sorted(str(name) for name in names)
    more = len(listed) - NAMED_AT_MOST
    return ", ".join(listed[:NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "") if listed else "nothing"


def _first_line(error: Exception) -> str:
    """What went wrong, in one line; advice of torch about loading without care is left out."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    telling = [line for line in lines if "weights_only" not in line and "Unpickler" not in line]
    return (telling or lines or [type(error).__name__])[0][:200]
