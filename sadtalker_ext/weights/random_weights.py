"""Reproducible random weights for the official networks, for tests and benchmarks without the public checkpoints.

Networks with these weights render noise, not faces. The value of a tensor depends on its key and shape only and is the
same on every machine: NumPy's PCG64 generator, seeded with the SHA-256 of the key.
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from sadtalker_ext.arrays import Float32Array

GAINS = {
    "generator.dense_motion_network.mask.weight": 40.0,
    "generator.dense_motion_network.occlusion.weight": 20.0,
    **{
        f"{network}.{layer}.weight": gain
        for network in ("mapping", "he_estimator")
        for layer, gain in (("fc_yaw", 8.0), ("fc_pitch", 8.0), ("fc_roll", 8.0), ("fc_t", 0.15), ("fc_exp", 0.15))
    },
}
"""Factors for layers whose outputs would otherwise be too flat or too wide to exercise the layers after them."""
CONSTANT_KEYS = frozenset({"kp_extractor.down.weight"})
"""Fixed blur kernel, left as the network initialises it."""
POWER_ITERATIONS = 50
"""Steps of the power iteration for spectral norms; the estimate is then within 1e-2 of the largest singular value."""


def generator_for(name: str) -> np.random.Generator:
    """Return the random generator that is seeded with ``name``."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.PCG64(seed))


def normal(name: str, shape: tuple[int, ...]) -> Float32Array:
    """Return standard normal values, float32, from the generator of ``name``."""
    return generator_for(name).standard_normal(shape, dtype=np.float32)


def uniform(name: str, shape: tuple[int, ...]) -> Float32Array:
    """Return uniform values in [0, 1), float32, from the generator of ``name``."""
    return generator_for(name).random(shape, dtype=np.float32)


def random_tensor(key: str, shape: tuple[int, ...]) -> Float32Array:
    """Return the value of one floating-point tensor; ``key`` includes the prefix of its network."""
    value = normal(key, shape)
    if value.ndim >= 2:
        fan_in = max(1, math.prod(shape[1:]))
        return value * np.float32(GAINS.get(key, 1.0) / math.sqrt(fan_in))
    if key.endswith("running_var"):
        return np.abs(value) + np.float32(0.5)
    scaled = np.float32(0.1) * value
    weight = key.endswith(".weight") and not key.endswith("running_mean")
    return scaled + np.float32(1.0) if weight else scaled


def singular_vectors(key: str, weight: Float32Array) -> tuple[Float32Array, Float32Array]:
    """Return the vectors u and v of spectral norm for ``weight``; ``key`` is the key of ``weight_u``."""
    matrix = weight.reshape(weight.shape[0], -1).astype(np.float64)
    left = normal(key, (matrix.shape[0],)).astype(np.float64)
    left /= np.linalg.norm(left)
    for _ in range(POWER_ITERATIONS):
        right = matrix.T @ left
        right /= np.linalg.norm(right)
        left = matrix @ right
        left /= np.linalg.norm(left)
    return left.astype(np.float32), right.astype(np.float32)


def random_state(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    """Return a random state dict for ``network``, keys without prefix.

    prefix: the network's key prefix in the official file, including the dot, such as ``generator.``.
    """
    return dict(_random_entries(prefix, network.state_dict()))


def _random_entries(prefix: str, template: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for key, tensor in template.items():
        full, shape = prefix + key, tuple(tensor.shape)
        if not tensor.is_floating_point():
            yield key, torch.zeros(shape, dtype=tensor.dtype)
        elif full in CONSTANT_KEYS:
            yield key, tensor
        elif key.endswith("weight_orig"):
            weight = random_tensor(full, shape)
            stem = key.removesuffix("weight_orig")
            left, right = singular_vectors(f"{prefix}{stem}weight_u", weight)
            yield key, torch.from_numpy(weight)
            yield f"{stem}weight_u", torch.from_numpy(left)
            yield f"{stem}weight_v", torch.from_numpy(right)
        elif not key.endswith(("weight_u", "weight_v")):
            yield key, torch.from_numpy(np.ascontiguousarray(random_tensor(full, shape)))


def make_random_weights(folder: Path) -> list[Path]:
    """Write the two packaged files and the two mapping files with random weights (1.5 GB, a few seconds).

    The two packaged files are identical. Returns the paths; WeightsError if one of the files exists already.
    """
    import os
    from functools import partial

    from sadtalker_ext.errors import WeightsError
    from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
    from sadtalker_ext.system.atomic_output import write_file
    from sadtalker_ext.system.path_problems import make_folder
    from sadtalker_ext.weights import official
    from sadtalker_ext.weights.packaged import PACKAGED, PackagedConfig
    from sadtalker_ext.weights.state_dict import save_safetensors

    make_folder(folder, WeightsError)
    first, second = (folder / entry.name for entry in PACKAGED.values())
    mappings = {count: folder / entry.name for count, entry in official.MAPPINGS.items()}
    for path in (first, second, *mappings.values()):
        if path.exists():
            raise WeightsError(f"{path} already exists and may contain trained weights; choose an empty folder")
    state: dict[str, Tensor] = {}
    for prefix, make in official.NETWORKS.items():
        state |= {prefix + key: tensor for key, tensor in random_state(prefix, make(PackagedConfig())).items()}
    save_safetensors(state, first)
    os.link(first, second)
    for count, path in mappings.items():
        network = MappingNet(MappingNetConfig(count))
        content = {official.MAPPING_ENTRY: random_state("mapping.", network), "epoch": 0}
        write_file(path, partial(torch.save, content), WeightsError, (OSError, RuntimeError))
    return [first, second, *mappings.values()]
