"""Face restorer and upscaler networks, loaded from the user's files with the package spandrel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import MissingPackageError, WeightsError
from sadtalker_ext.weights.restorer_files import read_restorer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import torch
    from torch import Tensor

    from sadtalker_ext.arrays import Float32Array, Image
    from sadtalker_ext.runtime import Runtime

FACE_RESTORATION: Final = "FaceSR"
"""Purpose of a face restorer in spandrel."""
INPAINTING: Final = "Inpainting"
"""Purpose in spandrel of networks that also need a mask, which cannot be used here."""
CODEFORMER_FIDELITY: Final = 1.0
"""How closely CodeFormer follows its input, 0 to 1; the value that its authors use for video."""
INSTALL: Final = 'pip install -c constraints.txt -e ".[restore]"'
MAX_REASON: Final = 200
"""Characters of a message of another package that are shown."""


@dataclass(frozen=True)
class PictureNetwork:
    """A network that maps pictures to pictures.

    name: of its architecture. scale: size of the result divided by that of the input. faces: whether it was trained on
        FFHQ squares of a face.
    compute: maps (1, 3, H, W) in [0, 1] to (1, 3, scale * H, scale * W) in about [0, 1]; deterministic.
    """

    name: str
    scale: int
    faces: bool
    compute: Callable[[Tensor], Tensor]
    device: torch.device

    def __call__(self, picture: Image) -> Float32Array:
        """Return (scale * H, scale * W, 3), 0 to 255 and not rounded, for an RGB picture (H, W, 3) uint8."""
        import numpy as np
        import torch

        with torch.inference_mode():
            pixels = torch.from_numpy(np.ascontiguousarray(picture)).to(self.device)
            result = self.compute(pixels.permute(2, 0, 1)[None].float() / 255)
            levels: Float32Array = result[0].permute(1, 2, 0).clamp(0, 1).mul(255).float().cpu().numpy()
        return levels


def open_picture_network(path: Path, runtime: Runtime) -> PictureNetwork:
    """Open a file of any architecture that spandrel supports; WeightsError if it cannot be used."""
    spandrel = _import_spandrel()
    state = read_restorer(path)
    try:
        model = _registry(spandrel).load(state)
    except spandrel.UnsupportedModelError as e:
        raise WeightsError(
            f"{path.name} is not a face restorer or upscaler that spandrel supports (CodeFormer also needs the package "
            "spandrel_extra_arches); choose another file"
        ) from e
    except (RuntimeError, KeyError, ValueError, AssertionError, IndexError) as e:
        reason = _first_lines(e)
        raise WeightsError(
            f"{path.name} does not fit the architecture that it appears to have ({reason}); download it again"
        ) from e
    device = runtime.torch_device()
    model.eval().to(device)
    name = str(model.architecture.name)
    if model.purpose == INPAINTING or (model.input_channels, model.output_channels) != (3, 3):
        raise WeightsError(
            f"{path.name} has the architecture {name}, which does not map colour pictures to colour pictures; choose "
            "another file"
        )
    compute = _SPECIAL_CALLS.get(name, _call_default)(model)
    return PictureNetwork(name, int(model.scale), model.purpose == FACE_RESTORATION, compute, device)


def _import_spandrel() -> Any:  # noqa: ANN401 - a module
    try:
        import spandrel
    except ImportError as e:
        missing = "spandrel" if e.name in (None, "spandrel") else f"spandrel, which needs {e.name}"
        raise MissingPackageError(
            f"Restorers and upscalers from files need the package {missing}; run: {INSTALL}"
        ) from e
    except RuntimeError as e:
        raise MissingPackageError(
            f"The package spandrel cannot be imported ({_first_lines(e)}); install matching releases of torch and "
            "torchvision from the same source"
        ) from e
    return spandrel


def _registry(spandrel: Any) -> Any:  # noqa: ANN401 - a module and a type of spandrel
    """Return all architectures of spandrel, and those of spandrel_extra_arches if it is installed."""
    registry = spandrel.MAIN_REGISTRY.copy()
    try:
        from spandrel_extra_arches import EXTRA_REGISTRY
    except ImportError:
        return registry
    registry.add(*EXTRA_REGISTRY, ignore_duplicates=True)
    return registry


def _call_default(model: Any) -> Callable[[Tensor], Tensor]:  # noqa: ANN401 - a type of spandrel
    def compute(picture: Tensor) -> Tensor:
        result: Tensor = model(picture)
        return result

    return compute


def _call_gfpgan(model: Any) -> Callable[[Tensor], Tensor]:  # noqa: ANN401 - a type of spandrel
    """Return a function without the random noise that GFPGAN adds by default, which would flicker in a video."""
    return lambda picture: model.model(picture * 2 - 1, return_rgb=False, randomize_noise=False)[0] / 2 + 0.5


def _call_codeformer(model: Any) -> Callable[[Tensor], Tensor]:  # noqa: ANN401 - a type of spandrel
    return lambda picture: model.model(picture * 2 - 1, weight=CODEFORMER_FIDELITY, adain=True)[0] / 2 + 0.5


_SPECIAL_CALLS: Final[dict[str, Callable[[Any], Callable[[Tensor], Tensor]]]] = {
    "GFPGAN": _call_gfpgan,
    "CodeFormer": _call_codeformer,
}
"""Architectures whose options differ from those of spandrel's own call; both expect values in [-1, 1]."""


def _first_lines(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:MAX_REASON] if lines else type(error).__name__
