"""The renderer's networks as one module that learns, and their files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import torch
from torch import Tensor, nn

from sadtalker_ext.models.dense_motion import DenseMotionConfig, DenseMotionField
from sadtalker_ext.models.discriminator import Discriminator, DiscriminatorConfig
from sadtalker_ext.models.generator import EncodedSource, Generator, GeneratorConfig
from sadtalker_ext.models.head_estimator import HeadEstimator, HeadEstimatorConfig
from sadtalker_ext.models.keypoint_detector import KeypointDetector, KeypointDetectorConfig
from sadtalker_ext.models.keypoints import transform_keypoints
from sadtalker_ext.models.mapping_net import HeadParameters
from sadtalker_ext.models.spade import SpadeConfig
from sadtalker_ext.weights.safetensors_file import load_network, save_network

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sadtalker_ext.training.sadtalker.model_sizes import RendererSize


class Found(NamedTuple):
    """Keypoints (B, K, 3) of a source, a driving and a warped driving picture, ``warped`` None where there was none.

    heads: parameters of source and driving, (2 B, ...) each.
    """

    source: Tensor
    driving: Tensor
    warped: Tensor | None
    heads: HeadParameters


class Moved(NamedTuple):
    """A source picture moved like a driving one.

    picture: (B, 3, S, S) in (0, 1). motion: the field. found: where it moves from and to.
    """

    picture: Tensor
    motion: DenseMotionField
    found: Found


class Renderer(nn.Module):
    """Keypoint detector, head estimator and generator: everything between two pictures and a third."""

    def __init__(self, size: RendererSize) -> None:
        super().__init__()
        self.keypoint_detector = KeypointDetector(size.keypoint_detector)
        self.head_estimator = HeadEstimator(size.head_estimator)
        self.generator = Generator(size.generator)

    def forward(
        self, source: Tensor, driving: Tensor, warped: Tensor | None = None, *,
        known: Tensor | None = None, painted: bool = True,
    ) -> tuple[Found, Moved | None]:  # fmt: skip
        """RGB pictures (B, 3, S, S) in [0, 1]; ``warped``: driving pictures, warped, to find keypoints in.

        known: (B, 2, K, 2), x and y of keypoints of source and driving frame, nan where they are not known: what is
        known moves the picture instead of what is found. Without ``painted`` only keypoints are looked for.
        """
        found = self.find(source, driving, warped)
        if not painted:
            return found, None
        return found, self.move(source, found if known is None else corrected(found, known))

    def find(self, source: Tensor, driving: Tensor, warped: Tensor | None = None) -> Found:
        """Keypoints of the pictures."""
        count, pictures = len(source), [source, driving] if warped is None else [source, driving, warped]
        heads = self.head_estimator(torch.cat(pictures))
        canonical = self.keypoint_detector(source)
        points = place(canonical.repeat(len(pictures), 1, 1), heads).chunk(len(pictures))
        two = HeadParameters(*(part[: 2 * count] for part in heads))
        return Found(points[0], points[1], None if warped is None else points[2], two)

    def move(self, source: Tensor, found: Found) -> Moved:
        """The source pictures, moved as was found."""
        return Moved(*self.render(source, found.source, found.driving), found)

    def render(self, source: Tensor, points: Tensor, driving: Tensor) -> tuple[Tensor, DenseMotionField]:
        """Frames (B, 3, S, S) and their fields, of source pictures, their keypoints and driving ones (B, K, 3)."""
        features, compressed = self.generator.encode_source(source)
        motion = self.generator.dense_motion_network(compressed.float(), points, driving)
        return self.generator.paint(EncodedSource(features, compressed), motion), motion


def place(canonical: Tensor, heads: HeadParameters) -> Tensor:
    """Keypoints (B, K, 3) of canonical ones in full precision: under autocast a keypoint would jump by pixels."""
    with torch.autocast(canonical.device.type, enabled=False):
        return transform_keypoints(canonical.float(), HeadParameters(*(part.float() for part in heads)))


def corrected(found: Found, known: Tensor) -> Found:
    """What was found, but x and y are those of ``known`` (B, 2, K, 2) where that is not nan."""
    told = [
        torch.cat((torch.where(xy.isnan(), points[:, :, :2], xy), points[:, :, 2:]), dim=2)
        for points, xy in zip((found.source, found.driving), known.unbind(dim=1), strict=True)
    ]
    return found._replace(source=told[0], driving=told[1])


def _frozen(config: dict[str, Any]) -> dict[str, Any]:
    """Tuples again where a file could only write lists."""
    return {name: tuple(value) if isinstance(value, list) else value for name, value in config.items()}


def _generator(config: dict[str, Any]) -> Generator:
    motion, decoder = DenseMotionConfig(**config["motion"]), SpadeConfig(**config["decoder"])
    return Generator(GeneratorConfig(**{**config, "motion": motion, "decoder": decoder}))


COMPONENTS: Final[Mapping[str, Callable[[dict[str, Any]], nn.Module]]] = {
    "keypoint_detector": lambda config: KeypointDetector(KeypointDetectorConfig(**config)),
    "head_estimator": lambda config: HeadEstimator(HeadEstimatorConfig(**_frozen(config))),
    "generator": _generator,
    "discriminator": lambda config: Discriminator(DiscriminatorConfig(**_frozen(config))),
}
"""What a run of the recipe writes, one file each: name of file and network to how it is built from its Config."""
KIND: Final = "sadtalker-training-{}"


def renderer_files(folder: Path) -> dict[str, Path]:
    """Where each of :data:`COMPONENTS` lies in the folder of a run."""
    return {name: folder / f"{name}.safetensors" for name in COMPONENTS}


def save_renderer(folder: Path, networks: Mapping[str, nn.Module], origin: Mapping[str, str]) -> None:
    """Write the averaged networks of a run."""
    for name, path in renderer_files(folder).items():
        network = networks["discriminator"] if name == "discriminator" else networks["renderer"].get_submodule(name)
        save_network(path, network, KIND.format(name), origin)


def load_component(folder: Path, name: str) -> nn.Module:
    """One of :data:`COMPONENTS` of a finished run, on the CPU, in eval mode."""
    return load_network(renderer_files(folder)[name], KIND.format(name), COMPONENTS[name])


def load_renderer(folder: Path) -> Renderer:
    """Keypoint detector, head estimator and generator of a finished run, on the CPU, in eval mode."""
    renderer = Renderer.__new__(Renderer)
    nn.Module.__init__(renderer)
    for name in ("keypoint_detector", "head_estimator", "generator"):
        renderer.add_module(name, load_component(folder, name))
    return renderer.eval()
