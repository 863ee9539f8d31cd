"""Weights made from their names: the official architecture with reproducible noise instead of training.

They make noise, not faces. Tests and benchmarks use them where the public checkpoints cannot be assumed:
the same names give the same numbers on every machine (NumPy's PCG64 stream seeded with SHA-256 of the name).
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

    from numpy.typing import NDArray
    from torch import Tensor, nn

GAINS = {
    "generator.dense_motion_network.mask.weight": 40.0,
    "generator.dense_motion_network.occlusion.weight": 20.0,
    **{
        f"{network}.{layer}.weight": gain
        for network in ("mapping", "he_estimator")
        for layer, gain in (("fc_yaw", 8.0), ("fc_pitch", 8.0), ("fc_roll", 8.0), ("fc_t", 0.15), ("fc_exp", 0.15))
    },
}
"""Layers whose outputs would otherwise be too flat or too wide to exercise what follows them."""
CONSTANT_KEYS = frozenset({"kp_extractor.down.weight"})
"""A fixed blur kernel; kept as the network makes it."""
POWER_ITERATIONS = 50


def generator_for(name: str) -> np.random.Generator:
    """The random stream that belongs to a name."""
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    return np.random.Generator(np.random.PCG64(seed))


def normal(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Standard normal values, float32."""
    return generator_for(name).standard_normal(shape, dtype=np.float32)


def uniform(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Uniform values in [0, 1), float32."""
    return generator_for(name).random(shape, dtype=np.float32)


def seeded_tensor(key: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """The value of one floating tensor by its full key (network prefix first) and shape."""
    value = normal(key, shape)
    if value.ndim >= 2:
        fan_in = max(1, math.prod(shape[1:]))
        return value * np.float32(GAINS.get(key, 1.0) / math.sqrt(fan_in))
    if key.endswith("running_var"):
        return np.abs(value) + np.float32(0.5)
    scaled = np.float32(0.1) * value
    weight = key.endswith(".weight") and not key.endswith("running_mean")
    return scaled + np.float32(1.0) if weight else scaled


def singular_vectors(key: str, weight: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Left and right vectors u and v of spectral norm for ``weight``; ``key`` is that of ``weight_u``."""
    matrix = weight.reshape(weight.shape[0], -1).astype(np.float64)
    left = normal(key, (matrix.shape[0],)).astype(np.float64)
    left /= np.linalg.norm(left)
    for _ in range(POWER_ITERATIONS):
        right = matrix.T @ left
        right /= np.linalg.norm(right)
        left = matrix @ right
        left /= np.linalg.norm(left)
    return left.astype(np.float32), right.astype(np.float32)


def seeded_state(prefix: str, network: nn.Module) -> dict[str, Tensor]:
    """A state dict for ``network`` (keys without prefix), made from its keys and shapes.

    prefix: the network's prefix in the official file, with its dot, such as ``generator.``.
    """
    return dict(_entries(prefix, network.state_dict()))


def _entries(prefix: str, template: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for key, tensor in template.items():
        full, shape = prefix + key, tuple(tensor.shape)
        if not tensor.is_floating_point():
            yield key, torch.zeros(shape, dtype=tensor.dtype)
        elif full in CONSTANT_KEYS:
            yield key, tensor
        elif key.endswith("weight_orig"):
            weight = seeded_tensor(full, shape)
            stem = key.removesuffix("weight_orig")
            left, right = singular_vectors(f"{prefix}{stem}weight_u", weight)
            yield key, torch.from_numpy(weight)
            yield f"{stem}weight_u", torch.from_numpy(left)
            yield f"{stem}weight_v", torch.from_numpy(right)
        elif not key.endswith(("weight_u", "weight_v")):
            yield key, torch.from_numpy(np.ascontiguousarray(seeded_tensor(full, shape)))


def make_seeded(folder: Path) -> list[Path]:
    """Write the four current checkpoints in the official format with seeded weights (1.5 GB, some seconds).

    The two packaged files hold the same numbers. Files of these names in ``folder`` are refused, not replaced.
    """
    import os
    from functools import partial

    from sadtalker_ext.atomic_output import write_file
    from sadtalker_ext.errors import WeightsError
    from sadtalker_ext.models.mapping_net import MappingNet, MappingNetConfig
    from sadtalker_ext.weights import official
    from sadtalker_ext.weights.packaged import PACKAGED, PackagedConfig
    from sadtalker_ext.weights.state_dict import save_safetensors

    folder.mkdir(parents=True, exist_ok=True)
    first, second = (folder / entry.name for entry in PACKAGED.values())
    mappings = {count: folder / entry.name for count, entry in official.MAPPINGS.items()}
    for path in (first, second, *mappings.values()):
        if path.exists():
            raise WeightsError(f"{path} is already there and may hold trained weights; choose an empty folder")
    state: dict[str, Tensor] = {}
    for prefix, make in official.NETWORKS.items():
        state |= {prefix + key: tensor for key, tensor in seeded_state(prefix, make(PackagedConfig())).items()}
    save_safetensors(state, first)
    os.link(first, second)
    for count, path in mappings.items():
        network = MappingNet(MappingNetConfig(count))
        content = {official.MAPPING_ENTRY: seeded_state("mapping.", network), "epoch": 0}
        write_file(path, partial(torch.save, content), WeightsError, (OSError, RuntimeError))
    return [first, second, *mappings.values()]
