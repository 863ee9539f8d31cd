"""Opens the generator in the form and dtype that suit the device, after a check of the numbers it computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, Final, Protocol

import torch
import torch.nn.functional as F

from sadtalker_ext.errors import EngineError
from sadtalker_ext.models.fast_generator import FastGenerator, convert_convolutions, use_channels_last
from sadtalker_ext.models.generator import BEFORE_MASKS, Generator
from sadtalker_ext.runtime import AUTO

if TYPE_CHECKING:
    from torch import Tensor, nn

    from sadtalker_ext.runtime import Runtime

LEAST_PSNR_DB: Final = 35.0
"""Smallest agreement of a dtype with float32 on the small test picture, where it is lower than on a portrait. A dtype
that overflows or lacks digits stays far below it."""
CHECK_DETAIL: Final = 8
"""Side of the noise that is enlarged to a picture for the check."""


class Renderer(Protocol):
    """What the engine needs of the generator."""

    def encode_source(self, image: Tensor) -> Any:  # noqa: ANN401 - of a type that only the renderer reads
        """Encode portraits (B, 3, S, S) in [0, 1]."""
        ...

    def render(self, encoded: Any, source: Tensor, driving: Tensor) -> Tensor:  # noqa: ANN401 - as above
        """Render frames (B, 3, S, S) at driving keypoints (B, K, 3)."""
        ...


def open_renderer(load: Callable[[Collection[str]], nn.Module], runtime: Runtime, device: torch.device) -> Renderer:
    """Return the renderer of the generator on ``device``.

    load: loads the generator, folded except for the submodules whose names it is given. On a CPU the renderer is a
    :class:`FastGenerator`. A dtype with fewer digits than float32 must agree with float32 on a test picture; with the
    dtype "auto", which tries float16 on CUDA, float32 is used otherwise. EngineError if a requested dtype does not
    agree or is not offered.
    """
    dtype = runtime.torch_dtype_on(device)
    exact_masks = dtype == torch.float32 and device.type == "cpu"
    generator = load(BEFORE_MASKS if exact_masks else ()).to(device)
    if not isinstance(generator, Generator):
        return generator  # type: ignore[return-value] # a stub
    if dtype == torch.float32:
        return _arranged(generator, dtype, device)
    exact = _check_frame(generator, generator, device)
    renderer = _arranged(generator, dtype, device)
    agreement_db = psnr_db(exact, _check_frame(renderer, generator, device))
    if agreement_db >= LEAST_PSNR_DB:
        return renderer
    if runtime.dtype == AUTO:
        return _arranged(_as_generator(load(()).to(device)), torch.float32, device)
    name = str(dtype).removeprefix("torch.")
    raise EngineError(
        f"On this device, {name} agrees with float32 to only {agreement_db:.0f} dB, but {LEAST_PSNR_DB:.0f} dB are "
        "needed; choose the dtype 'auto'"
    )


def psnr_db(exact: Tensor, other: Tensor) -> float:
    """Return the peak signal-to-noise ratio of frames in [0, 1]; minus infinity if a value is not finite."""
    error = (exact.double() - other.double()).square().mean().item()
    if not math.isfinite(error):
        return -math.inf
    return math.inf if error == 0 else -10 * math.log10(error)


def _arranged(generator: Generator, dtype: torch.dtype, device: torch.device) -> Renderer:
    if device.type == "cpu":
        return FastGenerator(generator, dtype)
    convert_convolutions(generator, dtype)
    if device.type == "cuda":
        use_channels_last(generator)
    return generator


@torch.inference_mode()
def _check_frame(renderer: Renderer, generator: Generator, device: torch.device) -> Tensor:
    """Render a smooth picture, as small as the network allows, with keypoints that move a little."""
    config = generator.config
    side = 1 << (config.halvings + config.motion.levels)
    seeded = torch.Generator().manual_seed(0)
    noise = torch.rand(1, 3, CHECK_DETAIL, CHECK_DETAIL, generator=seeded)
    image = F.interpolate(noise, size=(side, side), mode="bilinear").to(device)
    source, moved = torch.rand(2, 1, config.motion.keypoints, 3, generator=seeded).sub_(0.5).to(device)
    return renderer.render(renderer.encode_source(image), source, source + 0.2 * moved)


def _as_generator(network: nn.Module) -> Generator:
    if not isinstance(network, Generator):
        raise TypeError(f"{type(network).__name__} is not a generator")
    return network
