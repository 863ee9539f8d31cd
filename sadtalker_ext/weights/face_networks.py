"""The networks that find faces and people: packaged weights and their source.

The weights are those of MediaPipe's models (Google, Apache-2.0), converted by ``sadtalker weights convert-mediapipe``.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import WeightsError
from sadtalker_ext.weights.safetensors_file import fill_network, read_safetensors_file

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import Tensor, nn

LICENCE: Final = "Apache-2.0"
COPYRIGHT: Final = "Copyright The MediaPipe Authors"


@dataclass(frozen=True)
class FaceNetwork:
    """A packaged network.

    name: in messages and file names. source, source_sha256: path and hash of its source in the wheel. layout: digest of
    the names and shapes of its tensors, see :func:`layout_of`.
    """

    name: str
    source: str
    source_sha256: str
    layout: str

    @property
    def file(self) -> Path:
        """The packaged file."""
        return Path(__file__).with_name(f"{self.name}.safetensors")


SHORT_RANGE: Final = FaceNetwork(
    "blaze_face_short_range",
    "mediapipe/modules/face_detection/face_detection_short_range.tflite",
    "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8",
    "f087512474512b8d",
)
FULL_RANGE: Final = FaceNetwork(
    "blaze_face_full_range",
    "mediapipe/modules/face_detection/face_detection_full_range_sparse.tflite",
    "2c3728e6da56f21e21a320433396fb06d40d9088f2247c05e5635a688d45dfe1",
    "3cb31122e4db4cb6",
)
FACE_MESH: Final = FaceNetwork(
    "face_mesh",
    "mediapipe/modules/face_landmark/face_landmark_with_attention.tflite",
    "e06a804e0144f9929eda782122916b35d60c697c3c9344013ca2bbe76a6ce2b4",
    "39d98a842ddc9fb2",
)
PERSON_SEGMENTER: Final = FaceNetwork(
    "person_segmenter",
    "mediapipe/modules/selfie_segmentation/selfie_segmentation.tflite",
    "9ee168ec7c8f2a16c56fe8e1cfbc514974cbbb7e434051b455635f1bd1462f5c",
    "ba702b1ed1e44c91",
)
FACE_NETWORKS: Final = (SHORT_RANGE, FULL_RANGE, FACE_MESH, PERSON_SEGMENTER)


def build_face_network(network: FaceNetwork) -> nn.Module:
    """Return the module of a network with random weights."""
    from sadtalker_ext.models.blaze_face import BlazeFaceFullRange, BlazeFaceShortRange
    from sadtalker_ext.models.face_mesh import FaceMesh
    from sadtalker_ext.models.person_segmenter import PersonSegmenter

    classes: dict[str, Callable[[], nn.Module]] = {
        SHORT_RANGE.name: BlazeFaceShortRange, FULL_RANGE.name: BlazeFaceFullRange,
        FACE_MESH.name: FaceMesh, PERSON_SEGMENTER.name: PersonSegmenter,
    }  # fmt: skip
    return classes[network.name]()


def load_face_network(network: FaceNetwork, path: Path | None = None) -> nn.Module:
    """Return a packaged network (or the one in ``path``) in float32 on the CPU, frozen, in eval mode.

    WeightsError if the file is missing or damaged.
    """
    tensors = read_face_weights(network, path)
    return fill_network(lambda: build_face_network(network), tensors, path or network.file)


def read_face_weights(network: FaceNetwork, path: Path | None = None) -> dict[str, Tensor]:
    """Return the tensors of a packaged network (or the one in ``path``), half precision.

    WeightsError if the file is missing, damaged or of another version.
    """
    tensors = read_safetensors_file(path or network.file, network.name).tensors
    if layout_of(tensors) != network.layout:
        raise WeightsError(
            f"{path or network.file} does not fit this version of the package: its tensors have other names or shapes; "
            "install the package again"
        )
    return tensors


def layout_of(tensors: Mapping[str, Tensor]) -> str:
    """Return a digest of the names and shapes of tensors."""
    rows = "".join(f"{name} {tuple(tensors[name].shape)} " for name in sorted(tensors))
    return hashlib.sha256(rows.encode()).hexdigest()[:16]
