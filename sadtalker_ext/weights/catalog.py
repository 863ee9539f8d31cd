"""Catalog of the public checkpoints: names, sizes, hashes, licences and download locations."""

from __future__ import annotations

from dataclasses import dataclass

from sadtalker_ext.errors import WeightsError

OFFICIAL_LICENCE = "Apache-2.0 (OpenTalker/SadTalker)"
DEFAULT_MIRROR = "github"


@dataclass(frozen=True)
class Checkpoint:
    """A published checkpoint file.

    name: file name. size_bytes, sha256: of the published file. release: release of the SadTalker project, a key of
    each mirror in :data:`MIRRORS`. purpose: short description. converted: name of the safetensors file that a pickle
    is converted to; empty for files that are safetensors already.
    """

    name: str
    size_bytes: int
    sha256: str
    release: str
    purpose: str
    converted: str = ""
    licence: str = OFFICIAL_LICENCE


MIRRORS: dict[str, dict[str, str]] = {
    "github": {
        "v0.0.2-rc": "https://github.com/OpenTalker/SadTalker/releases/download/v0.0.2-rc/",
        "v0.0.2": "https://github.com/OpenTalker/SadTalker/releases/download/v0.0.2/",
    },
    "huggingface": {
        "v0.0.2-rc": "https://huggingface.co/vinthony/SadTalker-V002rc/resolve/main/",
        "v0.0.2": "https://huggingface.co/vinthony/SadTalker/resolve/main/",
    },
    "hf-mirror": {
        "v0.0.2-rc": "https://hf-mirror.com/vinthony/SadTalker-V002rc/resolve/main/",
        "v0.0.2": "https://hf-mirror.com/vinthony/SadTalker/resolve/main/",
    },
}
"""Base URL by mirror and release; the file name is appended."""
MIRROR_LABELS: dict[str, str] = {
    "github": "GitHub", "huggingface": "Hugging Face", "hf-mirror": "hf-mirror.com, faster in China",
}  # fmt: skip
"""Name shown to users, by mirror."""

PACKAGED_SIZE_BYTES = 725_066_984

PACKAGED_256 = Checkpoint(
    "SadTalker_V0.0.2_256.safetensors", PACKAGED_SIZE_BYTES,
    "c211f5d6de003516bf1bbda9f47049a4c9c99133b1ab565c6961e5af16477bff",
    "v0.0.2-rc", "all networks but MappingNet, 256 x 256 pixels",
)  # fmt: skip
PACKAGED_512 = Checkpoint(
    "SadTalker_V0.0.2_512.safetensors", PACKAGED_SIZE_BYTES,
    "0e063f7ff5258240bdb0f7690783a7b1374e6a4a81ce8fa33456f4cd49694340",
    "v0.0.2-rc", "all networks but MappingNet, 512 x 512 pixels",
)  # fmt: skip
MAPPING_FULL = Checkpoint(
    "mapping_00109-model.pth.tar", 155_779_231, "84a8642468a3fcfdd9ab6be955267043116c2bec2284686a5262f1eaf017f64c",
    "v0.0.2-rc", "MappingNet for the modes full and extfull", "mapping_00109-model.safetensors",
)  # fmt: skip
MAPPING_CROP = Checkpoint(
    "mapping_00229-model.pth.tar", 155_521_183, "62a1e06006cc963220f6477438518ed86e9788226c62ae382ddc42fbcefb83f1",
    "v0.0.2-rc", "MappingNet for the modes crop, extcrop and resize", "mapping_00229-model.safetensors",
)  # fmt: skip
OLD_EXPRESSION = Checkpoint(
    "auido2exp_00300-model.pth", 34_278_319, "b7608f0e6b477e50e03ca569ac5b04a841b9217f89d502862fc78fda4e46dec4",
    "v0.0.2", "old layout: ExpNet",
)  # fmt: skip
OLD_POSE = Checkpoint(
    "auido2pose_00140-model.pth", 95_916_155, "4fba6701852dc57efbed25b1e4276e4ff752941860d69fc4429f08a02326ebce",
    "v0.0.2", "old layout: PoseVAE",
)  # fmt: skip
OLD_RECON = Checkpoint(
    "epoch_20.pth", 288_860_037, "6d17a6b23457b521801baae583cb6a58f7238fe6721fc3d65d76407460e9149b",
    "v0.0.2", "old layout: FaceRecon",
)  # fmt: skip
OLD_RENDERER = Checkpoint(
    "facevid2vid_00189-model.pth.tar", 2_112_619_148,
    "fbad01d46f0510276dc4521322dde6824a873a4222cd0740c85762e7067ea71d",
    "v0.0.2", "old layout: keypoint detector and generator, 256 x 256 pixels",
)  # fmt: skip

CATALOG = (
    PACKAGED_256, PACKAGED_512, MAPPING_FULL, MAPPING_CROP, OLD_EXPRESSION, OLD_POSE, OLD_RECON, OLD_RENDERER,
)  # fmt: skip
RECOMMENDED = (PACKAGED_256, MAPPING_FULL, MAPPING_CROP)
"""The checkpoints that every mode at 256 pixels needs."""


def find_catalog_entry(name: str) -> Checkpoint:
    """Return the catalog entry of the file ``name``; WeightsError with the known names if there is none."""
    for entry in CATALOG:
        if entry.name == name:
            return entry
    names = ", ".join(entry.name for entry in CATALOG)
    raise WeightsError(f"There is no checkpoint named {name} in the catalog; choose one of {names}")


def download_url(entry: Checkpoint, mirror: str = DEFAULT_MIRROR) -> str:
    """Return the URL of a checkpoint; ``mirror`` is a name in :data:`MIRRORS` or the URL of a folder."""
    if mirror.startswith(("http://", "https://")):
        return mirror.rstrip("/") + "/" + entry.name
    if mirror not in MIRRORS:
        raise WeightsError(f"There is no mirror named {mirror!r}; choose {', '.join(MIRRORS)} or give a URL")
    return MIRRORS[mirror][entry.release] + entry.name
