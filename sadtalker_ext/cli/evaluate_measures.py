"""Flags of ``sadtalker evaluate`` for measures of public networks, and the videos of a folder."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from sadtalker_ext.cli.setting_flags import read_runtime
from sadtalker_ext.errors import FileRef, MediaError, SettingsError
from sadtalker_ext.weights.measure_files import CSIM, FID, LSE, LSE_FACES, MEASURE_FILES

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.evaluate_networks import MeasureNetworks

ALL: Final = "all"
VIDEO_SUFFIXES: Final = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
DEFAULT_EVERY: Final = 12


class VideoPair(NamedTuple):
    """A video to measure and the original to compare it with, if there is one."""

    result: Path
    reference: Path | None


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags that select measures and their files."""
    group = parser.add_argument_group("measures of public networks (docs/measures.md)")
    group.add_argument(
        "--measure", action="append", default=[], choices=[*(entry.measure for entry in MEASURE_FILES), ALL],
        help="lse: LSE-C and LSE-D of lips and sound; fid: distance to --reference; csim: identity, compared with "
        "--portrait or the first frame of --reference; can be repeated",
    )  # fmt: skip
    for entry in MEASURE_FILES:
        group.add_argument(
            f"--{entry.measure}-network", type=Path, metavar="FILE",
            help=f"file for {entry.measure} (default: {entry.name} in a checkpoint folder); selects the measure",
        )  # fmt: skip
    group.add_argument(
        "--lse-faces", type=Path, metavar="FILE",
        help=f"{LSE_FACES.name}, to cut the faces for lse by the boxes of S3FD, as papers do (default: by landmarks)",
    )  # fmt: skip
    group.add_argument(
        "--every", type=int, default=DEFAULT_EVERY, metavar="N",
        help=f"measure every Nth frame for CPBD, PSNR, SSIM, FID and CSIM; 1 as in papers (default {DEFAULT_EVERY})",
    )  # fmt: skip


def wanted_measures(options: argparse.Namespace) -> list[str]:
    """Return the measures that the flags select."""
    names = [entry.measure for entry in MEASURE_FILES]
    return [
        name for name in names
        if name in options.measure or ALL in options.measure or getattr(options, f"{name}_network") is not None
    ]  # fmt: skip


def check_measures(options: argparse.Namespace) -> None:
    """Raise SettingsError if a selected measure has nothing to compare with or no video."""
    wanted = wanted_measures(options)
    if options.lse_faces is not None and LSE.measure not in wanted:
        raise SettingsError("The flag --lse-faces is for LSE; add --measure lse")
    if options.every < 1:
        raise SettingsError(f"--every is {options.every}; it must be 1 or more")
    if wanted and options.result is None and not options.render:
        raise SettingsError(f"The measure {wanted[0]} needs finished videos; name RESULT, or use --render")
    if FID.measure in wanted and options.reference is None:
        raise SettingsError("FID compares two sets of frames; name the original video or folder with --reference")
    if CSIM.measure in wanted and options.reference is None and options.portrait is None and not options.render:
        raise SettingsError("CSIM compares faces with a source; name it with --portrait or --reference")


def open_networks(options: argparse.Namespace) -> MeasureNetworks:
    """Load the networks of the selected measures; WeightsError if a file is missing."""
    from sadtalker_ext.pipeline.evaluate_networks import open_measures
    from sadtalker_ext.weights.files import search_folders

    named = {entry.measure: getattr(options, f"{entry.measure}_network") for entry in MEASURE_FILES}
    wanted, runtime = wanted_measures(options), read_runtime(options)
    if options.lse_faces is not None:
        wanted.append(LSE_FACES.measure)
        named[LSE_FACES.measure] = options.lse_faces
    return open_measures(wanted, named, search_folders(runtime.folders), runtime.torch_device(), options.every)


def list_pairs(result: Path, reference: Path | None) -> dict[str, VideoPair]:
    """Return the videos to measure by name; those of two folders belong together if they have the same name."""
    if not result.is_dir():
        if reference is not None and reference.is_dir():
            reference = _same_name(result, reference)
        return {result.name: VideoPair(result, reference)}
    videos = _videos(result)
    if not videos:
        raise MediaError("The ", FileRef("folder", result), f" has no videos; use one with {', '.join(VIDEO_SUFFIXES)}")
    if reference is None:
        return {video.name: VideoPair(video, None) for video in videos}
    if not reference.is_dir():
        raise SettingsError(
            "The ", FileRef("reference", reference), " is one video, but RESULT is a folder; name a folder with an "
            "original of the same name for each result",
        )  # fmt: skip
    return {video.name: VideoPair(video, _same_name(video, reference)) for video in videos}


def _videos(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())


def _same_name(video: Path, folder: Path) -> Path:
    for path in _videos(folder):
        if path.stem == video.stem:
            return path
    raise MediaError(
        "The ", FileRef("folder", folder), f" has no original for {video.name}; put a video named {video.stem} there"
    )
