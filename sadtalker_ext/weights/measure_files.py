"""Files of the public networks that quality measures need; the user provides them, and they are never downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import FileRef, WeightsError
from sadtalker_ext.weights.errors import place_to_put
from sadtalker_ext.weights.files import find_file, find_similar_name

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclass(frozen=True)
class MeasureFile:
    """A public file that a measure needs.

    measure: name of the measure, also of its flags. name: file name. url: where its authors publish it.
    purpose, licence: short descriptions. others: names of files with the same network that are also found.
    """

    measure: str
    name: str
    url: str
    purpose: str
    licence: str
    others: tuple[str, ...] = ()


LSE: Final = MeasureFile(
    "lse", "syncnet_v2.model", "http://www.robots.ox.ac.uk/~vgg/software/lipsync/data/syncnet_v2.model",
    "SyncNet, for LSE-C and LSE-D", "see the page of its authors (Visual Geometry Group, Oxford)",
    ("syncnet_v2.safetensors",),
)  # fmt: skip
LSE_FACES: Final = MeasureFile(
    "lse-faces", "sfd_face.pth", "https://www.robots.ox.ac.uk/~vgg/software/lipsync/data/sfd_face.pth",
    "S3FD, to cut the faces of --measure lse as papers do (optional)", LSE.licence,
)  # fmt: skip
FID: Final = MeasureFile(
    "fid", "pt_inception-2015-12-05-6726825d.pth",
    "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth",
    "Inception v3 of the original FID, in the layout of pytorch-fid", "Apache-2.0",
    ("inception_v3_google-0cc3c7bd.pth",),
)  # fmt: skip
CSIM: Final = MeasureFile(
    "csim", "backbone.pth", "https://github.com/deepinsight/insightface/tree/master/recognition/arcface_torch#model-zoo",
    "ArcFace, an IResNet of InsightFace (ms1mv3_arcface_r50_fp16 or r100), for CSIM", "non-commercial research only",
    ("ms1mv3_arcface_r50_fp16_backbone.pth", "ms1mv3_arcface_r100_fp16_backbone.pth"),
)  # fmt: skip
MEASURE_FILES: Final = (LSE, FID, CSIM)
"""Files that measures need."""
ALL_FILES: Final = (*MEASURE_FILES, LSE_FACES)


def refuse_to_fetch(names: Sequence[str]) -> None:
    """Raise a WeightsError if one of the names is the file of a measure, which the user downloads."""
    for entry in ALL_FILES:
        for name in names:
            if name in (entry.name, *entry.others):
                raise WeightsError(
                    f"{name} is not fetched, because its licence is yours to accept ({entry.licence}); download it "
                    f"from {entry.url} and put it into a checkpoint folder"
                )


def find_measure_file(entry: MeasureFile, folders: Sequence[Path]) -> Path | None:
    """Return the file of a measure in the first folder that has one, or None."""
    for folder in folders:
        for name in (entry.name, *entry.others):
            if found := find_file(name, [folder]):
                return found
    return None


def require_measure_file(entry: MeasureFile, folders: Sequence[Path], named: Path | None = None) -> Path:
    """Return ``named``, or the file of a measure in a folder.

    WeightsError with its name, its source and the folders if it is missing.
    """
    if named is not None:
        if named.is_file():
            return named
        raise WeightsError("The ", FileRef("checkpoint", named), f" ({entry.purpose}) does not exist; choose another")
    if found := find_measure_file(entry, folders):
        return found
    if similar := find_similar_name(entry.name, folders):
        raise WeightsError(
            f"The file {entry.name} is in the ", FileRef("folder", similar.parent), f" under the name "
            f"{similar.name!r}; rename it to exactly {entry.name}",
        )  # fmt: skip
    searched = [part for folder in folders for part in (", ", FileRef("folder", folder))][1:]
    raise WeightsError(
        f"The measure {entry.measure} needs the file {entry.name} ({entry.purpose}), which was not found in: ",
        *searched, f"; download it from {entry.url} and put it into {place_to_put(folders)}, or name it with "
        f"--{entry.measure}-network FILE",
    )  # fmt: skip
