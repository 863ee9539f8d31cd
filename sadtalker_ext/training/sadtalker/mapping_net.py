"""Recipe of MappingNet: windows of coefficients -> head parameters that move the frozen renderer's keypoints.

As in SadTalker, section 3.3: the keypoints should be those that the renderer's own head estimator finds in the frame,
and the picture rendered with them should be the frame. One network for 70 coefficients, one for 73.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.models.mapping_net import HeadParameters, MappingNet
from sadtalker_ext.training.core.loop import Plan, train
from sadtalker_ext.training.core.phases import Phase, first_then_all
from sadtalker_ext.training.core.processes import is_main_process
from sadtalker_ext.training.core.run_log import last_figures
from sadtalker_ext.training.sadtalker import renderer_losses as losses
from sadtalker_ext.training.sadtalker.renderer_data import PicturePairs, judge, origin
from sadtalker_ext.training.sadtalker.renderer_networks import Found, Moved, Renderer, place
from sadtalker_ext.training.sadtalker.sample_images import write_sheet
from sadtalker_ext.weights.official import MAPPING_KIND, MAPPINGS
from sadtalker_ext.weights.safetensors_file import save_network

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from sadtalker_ext.training.sadtalker.model_sizes import RendererSize

WEIGHTS: Final = {"keypoints": 50.0, "perceptual": 1.0, "pixel": 10.0}
GUIDED_WEIGHTS: Final = {
    "keypoints": 5.0, "guide": 100.0, "lips": 100.0, "perceptual": 1.0, "pixel": 10.0, "mouth": 10.0,
}  # fmt: skip
"""For a renderer whose keypoints were guided by landmarks: these say exactly what the small head estimator of a short
run only guesses, above all how far the lips are apart.
"""
POINT_LOSSES: Final = ("keypoints", "guide", "lips")
"""Those that need no painted picture."""
POINTS_FIRST: Final = {"small": 0.8}
"""Part of the run, by size, in which only keypoints are learnt: a tenth of the work of a whole step."""
PLANS: Final = {
    "full": Plan(
        steps=50_000, batch_size=8, learning_rate=2e-4, warmup_steps=500, weight_decay=0.0, betas=(0.5, 0.999),
        clip_norm=10.0, validate_every=5000, save_every=1000, log_every=100, workers=4,
    ),
    "small": Plan(
        steps=2500, batch_size=8, learning_rate=2e-3, warmup_steps=30, weight_decay=0.0, clip_norm=10.0,
        ema_decay=0.99, validate_every=500, save_every=100, log_every=25,
    ),
    "tiny": Plan(steps=3, batch_size=2, learning_rate=1e-3, warmup_steps=1, weight_decay=0.0, log_every=1),
}  # fmt: skip
SHEET_ROWS: Final = 6


class MappingRecipe:
    """The recipe for :func:`sadtalker_ext.training.core.loop.train`.

    renderer: trained, of ``size``; it is frozen and moved to where the pictures are. coefficients: 70 or 73.
    guided: whether landmarks guided the renderer; see :class:`.renderer.RendererRecipe`.
    """

    def __init__(
        self, data: Path, size: RendererSize, renderer: Renderer, pyramid: nn.Module, coefficients: int,
        *, guided: bool = False,
    ) -> None:  # fmt: skip
        if coefficients not in MAPPINGS:
            raise SettingsError(f"MappingNet reads {' or '.join(map(str, MAPPINGS))} coefficients, not {coefficients}")
        self.size, self.pyramid, self.coefficients = size, pyramid, coefficients
        self.renderer = renderer.eval().requires_grad_(requires_grad=False)
        self.name = f"mapping_{coefficients}"
        weights = GUIDED_WEIGHTS if guided or size.name != "full" else WEIGHTS
        self.phases = first_then_all("mapping", weights, POINT_LOSSES, POINTS_FIRST.get(size.name, 0.0))
        self.train_set, self.test_set = (PicturePairs(data, split, size) for split in ("train", "test"))

    def build(self) -> dict[str, nn.Module]:
        """MappingNet."""
        return {"mapping": MappingNet(self.size.mapping_for(self.coefficients))}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Pairs of frames and their windows, see :meth:`PicturePairs.draw`."""
        return self.train_set.draw(random, size)

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Keypoints of source and driving frame: mean absolute error in [-1, 1]. Pictures: see the renderer's."""
        self.renderer.to(batch["source"].device)
        self.pyramid.to(batch["source"].device)
        both = torch.cat((batch["source"], batch["driving"]))
        with torch.no_grad():
            canonical = self.renderer.keypoint_detector(batch["source"])
            wanted = place(canonical.repeat(2, 1, 1), self.renderer.head_estimator(both))
        source, driving, _ = self._place(networks["mapping"], canonical, batch["windows"])
        landmarks = batch["landmarks"].transpose(0, 1).flatten(0, 1)
        table: dict[str, Callable[[], Tensor]] = {
            "keypoints": lambda: functional.l1_loss(torch.cat((source, driving)), wanted),
            "perceptual": lambda: losses.perceptual(self.pyramid(ours), self.pyramid(batch["driving"])),
            "pixel": lambda: functional.l1_loss(ours, batch["driving"]),
            "guide": lambda: losses.guide(torch.cat((source, driving)), landmarks, losses.MOUTH_COUNTS),
            "lips": lambda: losses.lips(torch.cat((source, driving)), landmarks),
            "mouth": lambda: losses.within((ours - batch["driving"]).abs(), batch["mouth"]),
        }
        if phase.needs_more_than(POINT_LOSSES):
            ours = self.renderer.render(batch["source"], source, driving)[0].float()
        return {name: table[name]() for name in phase.weights}

    def _place(
        self, mapping: nn.Module, canonical: Tensor, windows: Tensor
    ) -> tuple[Tensor, Tensor, HeadParameters]:
        """Keypoints (B, K, 3) of source and driving frame, and the heads of both, from windows (B, 2, 73, 27)."""
        seen = windows[:, :, : self.coefficients].transpose(0, 1).flatten(0, 1)
        heads: HeadParameters = mapping(seen)
        source, driving = place(canonical.repeat(2, 1, 1), heads).chunk(2)
        return source, driving, heads

    def _moved(self, mapping: nn.Module, batch: Mapping[str, Tensor]) -> Moved:
        """Frames as the engine renders them."""
        device = next(mapping.parameters()).device
        self.renderer.to(device)
        picture = batch["source"].to(device)
        canonical = self.renderer.keypoint_detector(picture)
        source, driving, heads = self._place(mapping, canonical, batch["windows"].to(device))
        ours, motion = self.renderer.render(picture, source, driving)
        return Moved(ours, motion, Found(source, driving, None, heads))

    @torch.inference_mode()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Frames driven by coefficients alone, see :func:`.renderer_data.judge`."""
        return judge(self.test_set, lambda batch: self._moved(networks["mapping"], batch).picture)

    @torch.inference_mode()
    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """``sheet.png``, as the renderer's."""
        batch = self.test_set.pairs(self.test_set.held_out(SHEET_ROWS))
        write_sheet(folder / "sheet.png", batch["source"], batch["driving"], self._moved(networks["mapping"], batch))


def train_mapping(recipe: MappingRecipe, folder: Path, plan: Plan, commit: str = "unknown") -> Path:
    """Train (or go on) in ``folder`` and write ``mapping_70.safetensors`` or ``mapping_73`` there; its path."""
    network = cast("MappingNet", train(recipe, plan, folder)["mapping"])
    path = folder / f"{recipe.name}.safetensors"
    if is_main_process():
        figures = last_figures(folder)
        save_network(path, network, MAPPING_KIND, origin(recipe.train_set, figures, recipe.name, plan, commit))
    return path
