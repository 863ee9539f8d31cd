"""Training recipe for MappingNet: windows of coefficients -> head parameters for the frozen renderer.

As in SadTalker, section 3.3: the resulting keypoints should equal those that the head estimator of the renderer
predicts from the frame, and the image rendered with them should equal the frame. There is one network for 70
coefficients and one for 73.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from sadtalker_ext.errors import SettingsError
from sadtalker_ext.models.mapping_net import HeadParameters, MappingNet
from sadtalker_ext.training.clips.data_digest import describe_clips
from sadtalker_ext.training.core.loop import train
from sadtalker_ext.training.core.phases import Phase, staged_phases
from sadtalker_ext.training.core.plan import Plan
from sadtalker_ext.training.core.processes import is_main_process
from sadtalker_ext.training.core.run_log import last_validation
from sadtalker_ext.training.sadtalker import renderer_losses as losses
from sadtalker_ext.training.sadtalker.renderer_data import FramePairs, measure_psnr, training_metadata
from sadtalker_ext.training.sadtalker.renderer_networks import DetectedKeypoints, RenderedFrames, Renderer, apply_head
from sadtalker_ext.training.sadtalker.sample_images import write_contact_sheet
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
"""Loss weights for a renderer whose keypoints were guided by landmarks.

Landmarks are more accurate than the small head estimator of a short run, especially for the lip opening.
"""
KEYPOINT_LOSSES: Final = ("keypoints", "guide", "lips")
"""Losses that do not require a rendered image."""
KEYPOINTS_ONLY_SHARE: Final = {"small": 0.8}
"""Share of the run, by size, that trains keypoints only; such a step takes a tenth of the time of a full step."""
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
SAMPLE_ROWS: Final = 6


class MappingRecipe:
    """The recipe for :func:`sadtalker_ext.training.core.loop.train`.

    data: folder of clips. renderer: trained renderer of ``size``; it is frozen. pyramid: feature network of the
    perceptual loss. coefficients: 70 or 73. guided: whether the renderer was trained with landmark guidance, see
    :class:`.renderer.RendererRecipe`.
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
        self.phases = staged_phases("mapping", weights, KEYPOINT_LOSSES, KEYPOINTS_ONLY_SHARE.get(size.name, 0.0))
        self.train_set, self.test_set = (FramePairs(data, split, size) for split in ("train", "test"))
        self.data = describe_clips(data)

    def build(self) -> dict[str, nn.Module]:
        """Return a new MappingNet."""
        return {"mapping": MappingNet(self.size.mapping_for(self.coefficients))}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Return pairs of frames and their windows of coefficients, see :meth:`.FramePairs.sample`."""
        return self.train_set.sample(random, size)

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the losses of the phase; ``keypoints`` is a mean absolute error, for the others see the renderer's."""
        self.renderer.to(batch["source"].device)
        self.pyramid.to(batch["source"].device)
        both = torch.cat((batch["source"], batch["driving"]))
        with torch.no_grad():
            canonical = self.renderer.keypoint_detector(batch["source"])
            target = apply_head(canonical.repeat(2, 1, 1), self.renderer.head_estimator(both))
        source, driving, _ = self._keypoints(networks["mapping"], canonical, batch["windows"])
        landmarks = batch["landmarks"].transpose(0, 1).flatten(0, 1)
        table: dict[str, Callable[[], Tensor]] = {
            "keypoints": lambda: functional.l1_loss(torch.cat((source, driving)), target),
            "perceptual": lambda: losses.perceptual(self.pyramid(ours), self.pyramid(batch["driving"])),
            "pixel": lambda: functional.l1_loss(ours, batch["driving"]),
            "guide": lambda: losses.guide(torch.cat((source, driving)), landmarks, losses.MOUTH_WEIGHT),
            "lips": lambda: losses.lips(torch.cat((source, driving)), landmarks),
            "mouth": lambda: losses.mean_inside((ours - batch["driving"]).abs(), batch["mouth"]),
        }
        if phase.has_losses_besides(KEYPOINT_LOSSES):
            ours = self.renderer.render(batch["source"], source, driving)[0].float()
        return {name: table[name]() for name in phase.weights}

    def _keypoints(
        self, mapping: nn.Module, canonical: Tensor, windows: Tensor
    ) -> tuple[Tensor, Tensor, HeadParameters]:
        """Return keypoints (B, K, 3) of source and driving frame and their heads, from windows (B, 2, 73, 27)."""
        inputs = windows[:, :, : self.coefficients].transpose(0, 1).flatten(0, 1)
        heads: HeadParameters = mapping(inputs)
        source, driving = apply_head(canonical.repeat(2, 1, 1), heads).chunk(2)
        return source, driving, heads

    def _render(self, mapping: nn.Module, batch: Mapping[str, Tensor]) -> RenderedFrames:
        """Render frames from coefficients, as the engine does."""
        device = next(mapping.parameters()).device
        self.renderer.to(device)
        image = batch["source"].to(device)
        canonical = self.renderer.keypoint_detector(image)
        source, driving, heads = self._keypoints(mapping, canonical, batch["windows"].to(device))
        frames, motion = self.renderer.render(image, source, driving)
        return RenderedFrames(frames, motion, DetectedKeypoints(source, driving, None, heads))

    @torch.inference_mode()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Return the PSNR of frames rendered from coefficients, see :func:`.renderer_data.measure_psnr`."""
        return measure_psnr(self.test_set, lambda batch: self._render(networks["mapping"], batch).image)

    @torch.inference_mode()
    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """Write ``sheet.png``, see :func:`.sample_images.write_contact_sheet`."""
        batch = self.test_set.pairs(self.test_set.held_out(SAMPLE_ROWS))
        rendered = self._render(networks["mapping"], batch)
        write_contact_sheet(folder / "sheet.png", batch["source"], batch["driving"], rendered)


def train_mapping(recipe: MappingRecipe, folder: Path, plan: Plan, commit: str = "unknown") -> Path:
    """Train or resume in ``folder``, write ``mapping_70.safetensors`` (or 73) there and return its path."""
    network = cast("MappingNet", train(recipe, plan, folder)["mapping"])
    path = folder / f"{recipe.name}.safetensors"
    if is_main_process():
        figures = last_validation(folder)
        origin = training_metadata(recipe.train_set, figures, recipe.name, plan, commit)
        save_network(path, network, MAPPING_KIND, origin)
    return path
