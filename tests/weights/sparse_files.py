"""Sparse checkpoint files: the right keys, shapes and length, filled with zeros that use no disk space."""

import json

import torch

from sadtalker_ext.weights import official
from sadtalker_ext.weights.packaged import PackagedConfig

DTYPES = {torch.float32: ("F32", 4), torch.int64: ("I64", 8)}


def packaged_template():
    """Return keys and shapes of a packaged file, on the meta device."""
    with torch.device("meta"):
        networks = {prefix: make(PackagedConfig()).state_dict() for prefix, make in official.NETWORKS.items()}
    return {prefix + key: value for prefix, state in networks.items() for key, value in state.items()}


def write_sparse(path, template):
    """Write a safetensors file of zeros: the header, followed by a hole of the right length."""
    header, at = {}, 0
    for key, value in sorted(template.items(), key=lambda item: (item[1].dtype != torch.int64, item[0])):
        name, width = DTYPES[value.dtype]
        end = at + value.numel() * width
        header[key] = {"dtype": name, "shape": list(value.shape), "data_offsets": [at, end]}
        at = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + at)
    return path
