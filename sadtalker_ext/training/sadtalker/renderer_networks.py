"""The networks of the renderer as one trainable module, and their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from sadtalker_ext.models.dense_motion import DenseMotionField
from sadtalker_ext.models.discriminator import Discriminator, DiscriminatorConfig
from sadtalker_ext.models.generator import EncodedSource, Generator, GeneratorConfig
from sadtalker_ext.models.head_estimator import HeadEstimator, HeadEstimatorConfig
from sadtalker_ext.models.keypoint_detector import KeypointDetector, KeypointDetectorConfig
from sadtalker_ext.models.keypoints import transform_keypoints
from sadtalker_ext.models.mapping_net import HeadParameters
from sadtalker_ext.weights.safetensors_file import load_network, save_network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sadtalker_ext.training.sadtalker.model_sizes import RendererSize


class DetectedKeypoints(NamedTuple):
    """Keypoints (B, K, 3) of source, driving and warped driving images.

    warped: None if there are no warped images. heads: head parameters of source and driving images, (2 B, ...) each.
    """

    source: Tensor
    driving: Tensor
    warped: Tensor | None
    heads: HeadParameters


class RenderedFrames(NamedTuple):
    """Source images rendered with the motion of driving images.

    image: (B, 3, S, S) in (0, 1). motion: motion field. keypoints: the keypoints used.
    """

    image: Tensor
    motion: DenseMotionField
    keypoints: DetectedKeypoints


class Renderer(nn.Module):
    """Keypoint detector, head estimator and generator: renders a source image with the motion of a driving image."""

    def __init__(self, size: RendererSize) -> None:
        super().__init__()
        self.keypoint_detector = KeypointDetector(size.keypoint_detector)
        self.head_estimator = HeadEstimator(size.head_estimator)
        self.generator = Generator(size.generator)

    def forward(
        self, source: Tensor, driving: Tensor, warped: Tensor | None = None, *,
        known: Tensor | None = None, keypoints_only: bool = False,
    ) -> tuple[DetectedKeypoints, RenderedFrames | None]:  # fmt: skip
        """Return the keypoints and, unless ``keypoints_only``, the rendered images.

        source, driving, warped: RGB images (B, 3, S, S) in [0, 1]; ``warped`` are warped driving images.
        known: (B, 2, K, 2), x and y of keypoints of source and driving images that replace the detected ones for
        rendering; NaN for keypoints that are not known.
        """
        detected = self.detect_keypoints(source, driving, warped)
        if keypoints_only:
            return detected, None
        used = detected if known is None else replace_known_keypoints(detected, known)
        return detected, RenderedFrames(*self.render(source, used.source, used.driving), used)

    def detect_keypoints(self, source: Tensor, driving: Tensor, warped: Tensor | None = None) -> DetectedKeypoints:
        """Return the keypoints of the images."""
        count, images = len(source), [source, driving] if warped is None else [source, driving, warped]
        heads = self.head_estimator(torch.cat(images))
        canonical = self.keypoint_detector(source)
        points = apply_head(canonical.repeat(len(images), 1, 1), heads).chunk(len(images))
        source_and_driving = HeadParameters(*(part[: 2 * count] for part in heads))
        return DetectedKeypoints(points[0], points[1], None if warped is None else points[2], source_and_driving)

    def render(
        self, source: Tensor, source_keypoints: Tensor, driving_keypoints: Tensor
    ) -> tuple[Tensor, DenseMotionField]:
        """Render source images (B, 3, S, S) with keypoints (B, K, 3) each; return the frames and the motion fields."""
        features, compressed = self.generator.encode_source(source)
        motion = self.generator.dense_motion_network(compressed.float(), source_keypoints, driving_keypoints)
        return self.generator.warp_and_decode(EncodedSource(features, compressed), motion), motion


def apply_head(canonical: Tensor, heads: HeadParameters) -> Tensor:
    """Transform canonical keypoints (B, K, 3) in float32: with autocast, keypoints would be off by pixels."""
    with torch.autocast(canonical.device.type, enabled=False):
        return transform_keypoints(canonical.float(), HeadParameters(*(part.float() for part in heads)))


def replace_known_keypoints(detected: DetectedKeypoints, known: Tensor) -> DetectedKeypoints:
    """Return ``detected`` with x and y replaced by ``known`` (B, 2, K, 2) where that is not NaN."""
    source, driving = (
        torch.cat((torch.where(xy.isnan(), points[:, :, :2], xy), points[:, :, 2:]), dim=2)
        for points, xy in zip((detected.source, detected.driving), known.unbind(dim=1), strict=True)
    )
    return detected._replace(source=source, driving=driving)


COMPONENTS: Final[Mapping[str, tuple[Callable[[Any], nn.Module], type[Any]]]] = {
    "keypoint_detector": (KeypointDetector, KeypointDetectorConfig),
    "head_estimator": (HeadEstimator, HeadEstimatorConfig),
    "generator": (Generator, GeneratorConfig),
    "discriminator": (Discriminator, DiscriminatorConfig),
}
"""Networks that a run writes, one file each: name of file and network to network class and config class."""
KIND: Final = "sadtalker-training-{}"


def renderer_files(folder: Path) -> dict[str, Path]:
    """Return the file of each of :data:`COMPONENTS` in the folder of a run."""
    return {name: folder / f"{name}.safetensors" for name in COMPONENTS}


def save_renderer(folder: Path, networks: Mapping[str, nn.Module], origin: Mapping[str, str]) -> None:
    """Write the networks of a run (the averaged weights) to ``folder``."""
    for name, path in renderer_files(folder).items():
        network = networks["discriminator"] if name == "discriminator" else networks["renderer"].get_submodule(name)
        save_network(path, network, KIND.format(name), origin)


def load_component(folder: Path, name: str) -> nn.Module:
    """Load one of :data:`COMPONENTS` of a finished run, on the CPU, in eval mode."""
    network_type, config_type = COMPONENTS[name]
    return load_network(renderer_files(folder)[name], KIND.format(name), network_type, config_type)


def load_renderer(folder: Path) -> Renderer:
    """Load keypoint detector, head estimator and generator of a finished run, on the CPU, in eval mode."""
    renderer = Renderer.__new__(Renderer)
    nn.Module.__init__(renderer)
    for name in ("keypoint_detector", "head_estimator", "generator"):
        renderer.add_module(name, load_component(folder, name))
    return renderer.eval()
