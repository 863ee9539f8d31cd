"""Networks that sharpen faces and enlarge pictures, from files that a person has, through the package spandrel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import MissingPackageError, WeightsError
from sadtalker_ext.weights.restorer_files import read_restorer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    from sadtalker_ext.runtime import Runtime

    Picture = NDArray[np.uint8]
    Floats = NDArray[np.float32]

FACES: Final = "FaceSR"
"""What spandrel calls the purpose of a face restorer."""
CODEFORMER_FIDELITY: Final = 1.0
"""How much CodeFormer keeps of what it sees, 0 to 1: its authors' value for video."""
INSTALL: Final = 'pip install -c constraints.txt -e ".[restore]"'


@dataclass(frozen=True)
class PictureNetwork:
    """A network from pictures to pictures.

    name: of its architecture. scale: how many times larger its result is. faces: made for FFHQ squares of a face.
    compute: (1, 3, H, W) in [0, 1] -> (1, 3, scale * H, scale * W) in about [0, 1]; the same input, the same result.
    """

    name: str
    scale: int
    faces: bool
    compute: Callable[[Tensor], Tensor]
    device: torch.device

    def __call__(self, picture: Picture) -> Floats:
        """A picture (H, W, 3) in levels -> (scale * H, scale * W, 3) in levels, 0 to 255, not rounded."""
        import numpy as np
        import torch

        with torch.inference_mode():
            given = torch.from_numpy(np.ascontiguousarray(picture)).to(self.device)
            result = self.compute(given.permute(2, 0, 1)[None].float() / 255)
            levels: Floats = result[0].permute(1, 2, 0).clamp(0, 1).mul(255).float().cpu().numpy()
        return levels


def open_picture_network(path: Path, runtime: Runtime) -> PictureNetwork:
    """Open a file of any architecture that spandrel knows; a WeightsError or MissingPackageError says what is wrong."""
    spandrel = _import_spandrel()
    state = read_restorer(path)
    try:
        found = _registry(spandrel).load(state)
    except spandrel.UnsupportedModelError as e:
        raise WeightsError(
            f"{path} is no face restorer or upscaler that spandrel knows (CodeFormer's need spandrel_extra_arches); "
            "take another file"
        ) from e
    except (RuntimeError, KeyError, ValueError, AssertionError, IndexError) as e:
        why = _first_line(e)
        raise WeightsError(f"{path} does not fit the network it seems to be of ({why}); fetch it again") from e
    device = runtime.torch_device()
    found.eval().to(device)
    if found.purpose == "Inpainting" or (found.input_channels, found.output_channels) != (3, 3):
        raise WeightsError(f"{path} holds {found.architecture.name}, which does not turn colour pictures into such")
    name = str(found.architecture.name)
    compute = _FACE_CALLS.get(name, _call_plainly)(found)
    return PictureNetwork(name, int(found.scale), found.purpose == FACES, compute, device)


def _import_spandrel() -> Any:  # noqa: ANN401 - a module
    try:
        import spandrel
    except ImportError as e:
        missing = "spandrel" if e.name in (None, "spandrel") else f"spandrel, which needs {e.name}"
        raise MissingPackageError(f"Restoring and upscaling from a file need the package {missing}: {INSTALL}") from e
    except RuntimeError as e:
        raise MissingPackageError(
            f"The package spandrel cannot be used here ({_first_line(e)}); torch and torchvision must be of one "
            "release and from one place: install both together"
        ) from e
    return spandrel


def _registry(spandrel: Any) -> Any:  # noqa: ANN401 - a module, spandrel's own type
    """All architectures of spandrel, and those of spandrel_extra_arches where that is installed."""
    registry = spandrel.MAIN_REGISTRY.copy()
    try:
        from spandrel_extra_arches import EXTRA_REGISTRY
    except ImportError:
        return registry
    registry.add(*EXTRA_REGISTRY, ignore_duplicates=True)
    return registry


def _call_plainly(found: Any) -> Callable[[Tensor], Tensor]:  # noqa: ANN401 - spandrel's own type
    def compute(given: Tensor) -> Tensor:
        result: Tensor = found(given)
        return result

    return compute


def _call_gfpgan(found: Any) -> Callable[[Tensor], Tensor]:  # noqa: ANN401 - spandrel's own type
    """GFPGAN sees -1 to 1, and adds fresh noise to each picture unless told to use its stored noise: that flickers."""
    return lambda given: found.model(given * 2 - 1, return_rgb=False, randomize_noise=False)[0] / 2 + 0.5


def _call_codeformer(found: Any) -> Callable[[Tensor], Tensor]:  # noqa: ANN401 - spandrel's own type
    return lambda given: found.model(given * 2 - 1, weight=CODEFORMER_FIDELITY, adain=True)[0] / 2 + 0.5


_FACE_CALLS: Final[dict[str, Callable[[Any], Callable[[Tensor], Tensor]]]] = {
    "GFPGAN": _call_gfpgan,
    "CodeFormer": _call_codeformer,
}
"""Architectures that must be called otherwise than spandrel calls them."""


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return " ".join(lines[:2])[:200] if lines else type(error).__name__
