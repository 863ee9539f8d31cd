"""Recipe of the renderer: keypoint detector, head estimator, dense motion and generator against a discriminator.

Self-supervised on pairs of frames of one clip, as in face-vid2vid (Wang et al. 2021) with the weights of SadTalker's
released configuration. Head angles come with the clips instead of from a pretrained estimator.
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
from sadtalker_ext.training.core.gradient_checkpointing import recompute_blocks
from sadtalker_ext.training.core.loop import Plan, train
from sadtalker_ext.training.core.phases import Phase, first_then_all
from sadtalker_ext.training.core.processes import is_main_process
from sadtalker_ext.training.core.run_log import last_figures
from sadtalker_ext.training.sadtalker import renderer_losses as losses
from sadtalker_ext.training.sadtalker.renderer_data import PicturePairs, judge, origin
from sadtalker_ext.training.sadtalker.renderer_networks import Found, Moved, Renderer, renderer_files, save_renderer
from sadtalker_ext.training.sadtalker.sample_images import write_sheet
from sadtalker_ext.training.sadtalker.thin_plate_spline import ThinPlate

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.training.sadtalker.model_sizes import RendererSize

OFFICIAL_WEIGHTS: Final = {
    "perceptual": 10.0, "feature_matching": 10.0, "gan": 1.0, "equivariance": 10.0, "spread": 10.0, "depth": 10.0,
    "head_pose": 20.0, "deformation": 5.0,
}  # fmt: skip
"""Of SadTalker's released configuration, where spread and depth are one, keypoint, and the last is expression."""
GUIDANCE: Final = {"guide": 30.0, "lips": 30.0, "warp": 10.0, "flow": 40.0}
"""Landmarks show keypoints and field where to go, and the field must serve without painting: motion is learnt in
hundreds of steps instead of tens of thousands. Half of the pictures are moved by the landmarks themselves, so that a
lip that is commanded to part does, however well lips are found in pictures.
"""
SMALL_WEIGHTS: Final = {
    "perceptual": 2.0, "pixel": 20.0, "mouth": 5.0, "feature_matching": 0.2, "gan": 0.01, "equivariance": 2.0,
    "spread": 0.005, "depth": 1.0, "head_pose": 10.0, "deformation": 0.2, **GUIDANCE,
}  # fmt: skip
"""For a short run: pixels count, those of the mouth twice, and there is guidance."""
POINT_LOSSES: Final = ("equivariance", "spread", "depth", "head_pose", "deformation", "guide", "lips")
"""Those that need no painted picture."""
POINTS_FIRST: Final = {"small": 0.4}
"""Part of the run, by size, in which only keypoints are learnt: a fifth of the work of a whole step, and whoever
learns to move pictures by keypoints that are still astray must learn it again.
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
SHEET_ROWS: Final = 6
_DRAWN: Final = "drawn_picture"
"""Where a step keeps the generator's picture for its discriminator."""


class RendererRecipe:
    """The recipe for :func:`sadtalker_ext.training.core.loop.train`.

    data: folder of clips. pyramid: frozen network that compares pictures; moved to where the pictures are.
    recompute: forget what is inside blocks and compute it again in the backward pass; less memory, same numbers.
    guided: add :data:`GUIDANCE` to the official losses of the full size; the others have it anyway.
    """

    name = "renderer"

    def __init__(
        self, data: Path, size: RendererSize, pyramid: nn.Module, *, recompute: bool = False, guided: bool = False
    ) -> None:
        self.size, self.pyramid, self.recompute = size, pyramid, recompute
        self.train_set, self.test_set = (PicturePairs(data, split, size) for split in ("train", "test"))
        self.guided = guided or size.name != "full"
        full = {**OFFICIAL_WEIGHTS, **GUIDANCE} if guided else OFFICIAL_WEIGHTS
        weights = full if size.name == "full" else SMALL_WEIGHTS
        first = POINTS_FIRST.get(size.name, 0.0)
        self.phases: tuple[Phase, ...] = (
            *first_then_all("renderer", weights, POINT_LOSSES, first),
            Phase("discriminator", {"hinge": 1.0}, begins=first),
        )

    def build(self) -> dict[str, nn.Module]:
        """The renderer as one module, and its discriminator."""
        renderer = Renderer(self.size)
        if self.recompute:
            recompute_blocks(renderer)
        return {"renderer": renderer, "discriminator": Discriminator(self.size.discriminator)}

    def batch(self, random: np.random.Generator, size: int) -> dict[str, Tensor]:
        """Pairs of frames, see :meth:`PicturePairs.draw`."""
        return self.train_set.draw(random, size)

    def losses(self, phase: Phase, networks: Mapping[str, nn.Module], batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """The renderer's losses by name, of keypoints alone or of all; then the discriminator's, on the picture that
        the renderer has just made.
        """
        if phase.network == "discriminator":
            return {"hinge": self._hinge(networks["discriminator"], batch)}
        warp = ThinPlate(batch["affine"], batch["bend"])
        painted = phase.needs_more_than(POINT_LOSSES)
        pictures = (batch["source"], batch["driving"], warp.picture(batch["driving"]))
        known = self._known(batch) if self.guided else None
        found, moved = networks["renderer"](*pictures, known=known, painted=painted)
        table = self._point_losses(found, warp, batch)
        if moved is not None:
            batch[_DRAWN] = moved.picture.detach()
            table |= self._picture_losses(networks["discriminator"], moved.picture, batch)
            table |= self._field_losses(moved, batch)
        return {name: table[name]() for name in phase.weights}

    def _known(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Keypoints of the pairs that are told theirs, nan for the others."""
        points = losses.tied(batch["landmarks"], self.size.keypoint_detector.keypoints)
        return points.masked_fill(~batch["told"].view(-1, 1, 1, 1), torch.nan)

    def _picture_losses(
        self, discriminator: nn.Module, ours: Tensor, batch: Mapping[str, Tensor]
    ) -> dict[str, Callable[[], Tensor]]:
        self.pyramid.to(ours.device)
        ours, real = ours.float(), batch["driving"]
        judged = discriminator(ours)

        def perceptual() -> Tensor:
            with torch.no_grad():
                wanted = self.pyramid(real)
            return losses.perceptual(self.pyramid(ours), wanted)

        def feature_matching() -> Tensor:
            with torch.no_grad():
                wanted = discriminator(real)
            return losses.feature_matching(judged, wanted)

        return {
            "perceptual": perceptual,
            "pixel": lambda: functional.l1_loss(ours, real),
            "mouth": lambda: losses.within((ours - real).abs(), batch["mouth"]),
            "feature_matching": feature_matching,
            "gan": lambda: losses.adversarial(judged),
        }

    @staticmethod
    def _point_losses(
        found: Found, warp: ThinPlate, batch: Mapping[str, Tensor]
    ) -> dict[str, Callable[[], Tensor]]:
        if found.warped is None:
            raise TypeError("the equivariance loss needs keypoints of the warped picture")
        both = torch.cat((found.source, found.driving))
        known, landmarks = (batch[name].transpose(0, 1).flatten(0, 1) for name in ("angles", "landmarks"))
        unwarped = warp.points(found.warped[:, :, :2])
        return {
            "equivariance": lambda: functional.l1_loss(unwarped, found.driving[:, :, :2]),
            "spread": lambda: losses.spread(found.driving),
            "depth": lambda: losses.depth(found.driving),
            "head_pose": lambda: losses.head_pose(predicted_angles(found.heads), known),
            "deformation": lambda: losses.deformation_prior(found.heads.deformation),
            "guide": lambda: losses.guide(both, landmarks, losses.MOUTH_COUNTS),
            "lips": lambda: losses.lips(both, landmarks),
        }

    def _field_losses(self, moved: Moved, batch: Mapping[str, Tensor]) -> dict[str, Callable[[], Tensor]]:
        field, aligned = moved.motion.deformation, self.size.generator.motion.aligned
        source, driving = batch["landmarks"].unbind(dim=1)

        def warp() -> Tensor:
            return functional.l1_loss(losses.unpainted(batch["source"], field, aligned), batch["driving"])

        return {
            "warp": warp,
            "flow": lambda: losses.flow(field, source, driving, aligned),
        }

    @staticmethod
    def _hinge(discriminator: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
        """One call for both kinds of pictures: instance norms keep them apart, and processes stay in step."""
        judged = discriminator(torch.cat((batch["driving"], batch[_DRAWN])))
        halves = [judgement.scores.chunk(2) for judgement in judged]
        return losses.hinge([real for real, _ in halves], [ours for _, ours in halves])

    @torch.inference_mode()
    def validate(self, networks: Mapping[str, nn.Module]) -> dict[str, float]:
        """See :func:`.renderer_data.judge`."""
        renderer = networks["renderer"]
        device = next(renderer.parameters()).device

        def draw(batch: Mapping[str, Tensor]) -> Tensor:
            moved: Moved = renderer(batch["source"].to(device), batch["driving"].to(device))[1]
            return moved.picture

        return judge(self.test_set, draw)

    @torch.inference_mode()
    def sample(self, networks: Mapping[str, nn.Module], folder: Path) -> None:
        """``sheet.png``: source, driving, ours, occlusion and keypoints of some held-out pairs."""
        renderer = networks["renderer"]
        batch = self.test_set.pairs(self.test_set.held_out(SHEET_ROWS))
        device = next(renderer.parameters()).device
        moved: Moved = renderer(batch["source"].to(device), batch["driving"].to(device))[1]
        write_sheet(folder / "sheet.png", batch["source"], batch["driving"], moved)


def train_renderer(recipe: RendererRecipe, folder: Path, plan: Plan, commit: str = "unknown") -> dict[str, Path]:
    """Train (or go on) in ``folder`` and write the networks there, see :data:`.COMPONENTS`; their paths by name."""
    networks = train(recipe, plan, folder)
    if is_main_process():
        save_renderer(folder, networks, origin(recipe.train_set, last_figures(folder), recipe.name, plan, commit))
    return renderer_files(folder)
