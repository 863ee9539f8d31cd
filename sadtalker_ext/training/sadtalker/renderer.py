"""Training recipe for the renderer: keypoint detector, head estimator, dense motion and generator; with a GAN loss.

Self-supervised on pairs of frames of one clip, as in face-vid2vid (Wang et al. 2021), with the loss weights of
SadTalker's released configuration. Head angles are part of the data set instead of a pretrained estimator's output.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sadtalker_ext.models.discriminator import Discriminator
from sadtalker_ext.models.keypoints import predicted_angles
from sadtalker_ext.training.clips.data_digest import describe_clips
from sadtalker_ext.training.core.gradient_checkpointing import enable_gradient_checkpointing
from sadtalker_ext.training.core.loop import train
from sadtalker_ext.training.core.phases import Phase, staged_phases
from sadtalker_ext.training.core.plan import Plan
from sadtalker_ext.training.core.processes import is_main_process
from sadtalker_ext.training.core.run_log import last_validation
from sadtalker_ext.training.sadtalker import renderer_losses as losses
from sadtalker_ext.training.sadtalker.renderer_data import FramePairs, measure_psnr, training_metadata
from sadtalker_ext.training.sadtalker.renderer_networks import (
    DetectedKeypoints,
    RenderedFrames,
    Renderer,
    renderer_files,
    save_renderer,
)
from sadtalker_ext.training.sadtalker.sample_images import write_contact_sheet
from sadtalker_ext.training.sadtalker.thin_plate_spline import ThinPlate

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.training.sadtalker.model_sizes import RendererSize

OFFICIAL_WEIGHTS: Final = {
    "perceptual": 10.0, "feature_matching": 10.0, "gan": 1.0, "equivariance": 10.0, "spread": 10.0, "depth": 10.0,
    "head_pose": 20.0, "deformation": 5.0,
}  # fmt: skip
"""Loss weights of SadTalker's released configuration, where spread and depth are one loss, keypoint."""
GUIDANCE: Final = {"guide": 30.0, "lips": 30.0, "warp": 10.0, "flow": 40.0}
"""Weights of the losses that compare keypoints and motion field with landmarks, and the warped source with the target.

With them, motion is learned in hundreds of steps instead of tens of thousands. In addition, half of the pairs are
rendered from the landmarks instead of the detected keypoints, so that the generator learns lip motion even while the
keypoint detector does not locate lips well.
"""
SMALL_WEIGHTS: Final = {
    "perceptual": 2.0, "pixel": 20.0, "mouth": 5.0, "feature_matching": 0.2, "gan": 0.01, "equivariance": 2.0,
    "spread": 0.005, "depth": 1.0, "head_pose": 10.0, "deformation": 0.2, **GUIDANCE,
}  # fmt: skip
"""Weights for a short run, with pixel losses (the mouth has an additional one) and landmark guidance."""
KEYPOINT_LOSSES: Final = ("equivariance", "spread", "depth", "head_pose", "deformation", "guide", "lips")
"""Losses that do not require a rendered image."""
KEYPOINTS_ONLY_SHARE: Final = {"small": 0.4}
"""Share of the run, by size, that trains keypoints only.

Such a step takes a fifth of the time of a full step, and what the generator learns from wrong keypoints is lost.
"""
PLANS: Final = {
    "full": Plan(
        steps=200_000, batch_size=4, accumulate=4, learning_rate=2e-4, warmup_steps=500, weight_decay=0.0,
        betas=(0.5, 0.999), clip_norm=100.0, validate_every=5000, save_every=1000, log_every=100, workers=4,
    ),
    "small": Plan(
        steps=6000, batch_size=6, learning_rate=1.2e-3, warmup_steps=30, weight_decay=0.0, betas=(0.5, 0.99),
        clip_norm=10.0, ema_decay=0.99, validate_every=400, save_every=50, log_every=25,
    ),
    "tiny": Plan(
        steps=3, batch_size=2, learning_rate=1e-3, warmup_steps=1, weight_decay=0.0, betas=(0.5, 0.999), log_every=1,
    ),
}  # fmt: skip
SAMPLE_ROWS: Final = 6
_RENDERED: Final = "rendered_image"
"""Batch entry that passes the rendered image of a step on to the discriminator."""


class RendererRecipe:
    """The recipe for :func:`sadtalker_ext.training.core.loop.train`.

    data: folder of clips. pyramid: frozen feature network of the perceptual loss.
    gradient_checkpointing: recompute blocks in the backward pass; less memory, slower, identical results.
    guided: add :data:`GUIDANCE` to the official losses of the full size; the other sizes always use it.
    """

    name = "renderer"

    def __init__(
        self, data: Path, size: RendererSize, pyramid: nn.Module, *,
        gradient_checkpointing: bool = False, guided: bool = False,
    ) -> None:  # fmt: skip
        self.size, self.pyramid, self.gradient_checkpointing = size, pyramid, gradient_checkpointing
        self.train_set, self.test_set = (FramePairs(data, split, size) for split in ("train", "test"))
        self.data = describe_clips(data)
        self.guided = guided or size.name != "full"
        full = {**OFFICIAL_WEIGHTS, **GUIDANCE} if guided else OFFICIAL_WEIGHTS
        weights = full if size.name == "full" else SMALL_WEIGHTS
        first = KEYPOINTS_ONLY_SHARE.get(size.name, 0.0)
        self.phases: tuple[Phase, ...] = (
            *staged_phases("renderer", weights, KEYPOINT_LOSSES, first),
            Phase("discriminator", {"hinge": 1.0}, start=first),
        )

    def build(self) -> dict[str, nn.Module]:
        """Return a new renderer, as one module, and its discriminator."""
        renderer = Renderer(self.size)
        if self.gradient_checkpointing:
            enable_gradient_checkpointing(renderer)
        return {"renderer": renderer, "discriminator": Discriminator(self.size.discriminator)}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Return random pairs of frames, see :meth:`.FramePairs.sample`."""
        return self.train_set.sample(random, size)

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the losses of the phase by name.

        The discriminator phase uses the image that the renderer phase of the same step stored in ``batch``.
        """
        if phase.network == "discriminator":
            return {"hinge": self._hinge(networks["discriminator"], batch)}
        warp = ThinPlate(batch["affine"], batch["bend"])
        keypoints_only = not phase.has_losses_besides(KEYPOINT_LOSSES)
        images = (batch["source"], batch["driving"], warp.image(batch["driving"]))
        known = self._landmark_keypoints(batch) if self.guided else None
        detected, rendered = networks["renderer"](*images, known=known, keypoints_only=keypoints_only)
        table = self._keypoint_losses(detected, warp, batch)
        if rendered is not None:
            batch[_RENDERED] = rendered.image.detach()
            table |= self._image_losses(networks["discriminator"], rendered.image, batch)
            table |= self._field_losses(rendered, batch)
        return {name: table[name]() for name in phase.weights}

    def _landmark_keypoints(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the landmarks of the guided pairs as keypoints (B, 2, K, 2), NaN for the other pairs."""
        points = losses.select_guide_landmarks(batch["landmarks"], self.size.keypoint_detector.keypoints)
        return points.masked_fill(~batch["guided"].view(-1, 1, 1, 1), torch.nan)

    def _image_losses(
        self, discriminator: nn.Module, ours: Tensor, batch: Mapping[str, Tensor]
    ) -> dict[str, Callable[[], Tensor]]:
        self.pyramid.to(ours.device)
        ours, real = ours.float(), batch["driving"]
        outputs = discriminator(ours)

        def perceptual() -> Tensor:
            with torch.no_grad():
                real_features = self.pyramid(real)
            return losses.perceptual(self.pyramid(ours), real_features)

        def feature_matching() -> Tensor:
            with torch.no_grad():
                real_outputs = discriminator(real)
            return losses.feature_matching(outputs, real_outputs)

        return {
            "perceptual": perceptual,
            "pixel": lambda: functional.l1_loss(ours, real),
            "mouth": lambda: losses.mean_inside((ours - real).abs(), batch["mouth"]),
            "feature_matching": feature_matching,
            "gan": lambda: losses.adversarial(outputs),
        }

    @staticmethod
    def _keypoint_losses(
        detected: DetectedKeypoints, warp: ThinPlate, batch: Mapping[str, Tensor]
    ) -> dict[str, Callable[[], Tensor]]:
        if detected.warped is None:
            raise TypeError("the equivariance loss needs keypoints of the warped image")
        both = torch.cat((detected.source, detected.driving))
        angles, landmarks = (batch[name].transpose(0, 1).flatten(0, 1) for name in ("angles", "landmarks"))
        unwarped = warp.points(detected.warped[:, :, :2])
        return {
            "equivariance": lambda: functional.l1_loss(unwarped, detected.driving[:, :, :2]),
            "spread": lambda: losses.spread(detected.driving),
            "depth": lambda: losses.depth(detected.driving),
            "head_pose": lambda: losses.head_pose(predicted_angles(detected.heads), angles),
            "deformation": lambda: losses.deformation_prior(detected.heads.deformation),
            "guide": lambda: losses.guide(both, landmarks, losses.MOUTH_WEIGHT),
            "lips": lambda: losses.lips(both, landmarks),
        }

    def _field_losses(self, rendered: RenderedFrames, batch: Mapping[str, Tensor]) -> dict[str, Callable[[], Tensor]]:
        field, aligned = rendered.motion.deformation, self.size.generator.motion.aligned
        source, driving = batch["landmarks"].unbind(dim=1)

        def warp() -> Tensor:
            return functional.l1_loss(losses.warp_source(batch["source"], field, aligned), batch["driving"])

        return {
            "warp": warp,
            "flow": lambda: losses.flow(field, source, driving, aligned),
        }

    @staticmethod
    def _hinge(discriminator: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """Return the hinge loss, with one forward pass for real and rendered images.

        Instance norm treats each image separately, and with several processes the number of passes must be equal.
        """
        outputs = discriminator(torch.cat((batch["driving"], batch[_RENDERED])))
        halves = [output.scores.chunk(2) for output in outputs]
        return losses.hinge([real for real, _ in halves], [ours for _, ours in halves])

    @torch.inference_mode()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """Return the PSNR on held-out pairs, see :func:`.renderer_data.measure_psnr`."""
        renderer = networks["renderer"]
        device = next(renderer.parameters()).device

        def render(batch: Mapping[str, Tensor]) -> Tensor:
            rendered: RenderedFrames = renderer(batch["source"].to(device), batch["driving"].to(device))[1]
            return rendered.image

        return measure_psnr(self.test_set, render)

    @torch.inference_mode()
    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """Write ``sheet.png``: source, driving, rendered image, occlusion and keypoints of some held-out pairs."""
        renderer = networks["renderer"]
        batch = self.test_set.pairs(self.test_set.held_out(SAMPLE_ROWS))
        device = next(renderer.parameters()).device
        rendered: RenderedFrames = renderer(batch["source"].to(device), batch["driving"].to(device))[1]
        write_contact_sheet(folder / "sheet.png", batch["source"], batch["driving"], rendered)


def train_renderer(recipe: RendererRecipe, folder: Path, plan: Plan, commit: str = "unknown") -> dict[str, Path]:
    """Train or resume in ``folder``, write the networks of :data:`.COMPONENTS` there; return their paths by name."""
    networks = train(recipe, plan, folder)
    if is_main_process():
        figures = last_validation(folder)
        save_renderer(folder, networks, training_metadata(recipe.train_set, figures, recipe.name, plan, commit))
    return renderer_files(folder)
