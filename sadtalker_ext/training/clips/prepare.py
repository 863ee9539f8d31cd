"""Conversion of videos of talking people into a data set of clips, in several processes and resumable."""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.errors import MediaError, WeightsError
from sadtalker_ext.system.atomic_output import write_text
from sadtalker_ext.system.path_problems import make_folder
from sadtalker_ext.training.clips.dataset import ClipInfo, ClipWriter, count_clips
from sadtalker_ext.training.clips.prepare_clips import convert_video
from sadtalker_ext.training.clips.prepare_motion import FACE_RECON_SIZE_PX
from sadtalker_ext.training.clips.prepare_plan import PreparePlan
from sadtalker_ext.training.clips.prepare_report import VideoReport, write_report
from sadtalker_ext.training.clips.prepare_sources import Video, find_videos
from sadtalker_ext.training.clips.shards import TEST_SPLIT, TRAIN_SPLIT
from sadtalker_ext.training.core.json_files import check_options
from sadtalker_ext.training.core.worker_pool import run_jobs
from sadtalker_ext.weights.packaged import BFM, PUPPET

log = logging.getLogger(__name__)

MAX_PIECE_BYTES: Final = 80_000_000
MAX_PIECE_VIDEOS: Final = 40
"""A piece of work ends with the video that reaches one of these limits."""
MIN_PIECES: Final = 16
"""A small number of videos is divided into about this many pieces."""
OPTIONS_FILE: Final = "prepare.json"
WORK_FOLDER: Final = "work"
MEASURED_LIPS: Final = {
    PUPPET: "the face of the first frame with the measured mouth shapes",
    BFM: "the measured expression: the Basel face model does not separate the mouth from the rest of the face, and no "
    "lips were rendered by Wav2Lip",
}
WAV2LIP_LIPS: Final = "measured in the first frame of each clip, with lips animated by Wav2Lip"
LICENCE: Final = "that of the videos; all persons shown must have agreed to this use"


@dataclass(frozen=True)
class Piece:
    """Work for one process: videos that are converted into one training and one test shard."""

    folder: Path
    plan: PreparePlan
    number: int
    videos: tuple[Video, ...]

    @property
    def done(self) -> Path:
        """File with the reports of the piece, written last."""
        return self.folder / WORK_FOLDER / f"piece-{self.number:06d}.json"


def prepare(sources: Sequence[Path], folder: Path, plan: PreparePlan, processes: int = 1) -> ClipInfo:
    """Convert the videos in ``sources`` into a data set in ``folder``; a repeated call resumes.

    Raises MediaError if there are no videos or if none has a usable clip.
    """
    plan.validate()
    videos = find_videos(sources)
    pieces = split_work(folder, plan, videos)
    make_folder(folder / WORK_FOLDER)
    check_options(folder / OPTIONS_FILE, _options(plan, videos))
    pending = [piece for piece in pieces if not piece.done.exists()]
    run_jobs(_convert_piece, pending, processes, lambda piece: f"that from {piece.videos[0].path}")
    reports = [VideoReport(**row) for piece in pieces for row in json.loads(piece.done.read_text(encoding="utf-8"))]
    write_report(folder, reports)
    clips, identities, frames = count_clips(folder, (TRAIN_SPLIT, TEST_SPLIT))
    if not frames:
        raise MediaError(_no_clips(reports, folder / "report.md"))
    info = ClipInfo(
        size_px=plan.size_px,
        coefficients=plan.coefficients,
        identities=identities,
        clips=clips,
        hours=frames / FRAME_RATE_HZ / 3600,
        sources=f"{len(videos)} videos, {sum(bool(report.clips) for report in reports)} of them used",
        split="the ends of long videos, and one of eight short videos of each person",
        lips=MEASURED_LIPS[plan.coefficients] if plan.wav2lip is None else WAV2LIP_LIPS,
        licence=LICENCE,
    )
    info.save(folder)
    shutil.rmtree(folder / WORK_FOLDER)
    return info


def _no_clips(reports: Sequence[VideoReport], report: Path) -> str:
    """Return the message for videos none of which has a clip, with the reason for the first one."""
    first = reports[0]
    excluded = max(first.lost_s, key=lambda reason: first.lost_s[reason], default="shorter than --shortest")
    others = f" {len(reports) - 1} other videos have none either;" if len(reports) > 1 else ""
    return (
        f"{first.path} has no usable clip ({first.error or excluded});{others} {report} lists the reasons. Use videos "
        "with sound, in which one face is seen from the front"
    )


def select_coefficients(option: str, folders: Sequence[Path]) -> str:
    """Return "bfm" or "puppet" for an option; "auto" is "bfm" if the checkpoint of FaceRecon is found.

    Raises WeightsError if the option is "bfm" and FaceRecon is not found in ``folders``.
    """
    from sadtalker_ext.weights.catalog import PACKAGED_256
    from sadtalker_ext.weights.files import find_checkpoint, require_checkpoint
    from sadtalker_ext.weights.official import OLD_LAYOUT
    from sadtalker_ext.weights.packaged import find_packaged, read_packaged_config

    if option == PUPPET:
        return PUPPET
    packaged = find_packaged(FACE_RECON_SIZE_PX, folders)
    older_layout = all(find_checkpoint(entry, folders) for entry, _ in OLD_LAYOUT.values())
    if older_layout or (packaged is not None and read_packaged_config(packaged)[0].coefficients == BFM):
        return BFM
    if option == BFM:
        require_checkpoint(PACKAGED_256, folders)
        raise WeightsError(f"{packaged} has no FaceRecon. Give the folder of the official file first, with --folder.")
    return PUPPET


def split_work(folder: Path, plan: PreparePlan, videos: Sequence[Video]) -> list[Piece]:
    """Divide the videos into pieces of similar size; the result depends on the videos only."""
    pieces: list[Piece] = []
    current: list[Video] = []
    size, max_videos = 0, min(MAX_PIECE_VIDEOS, -(-len(videos) // MIN_PIECES))
    for video in videos:
        current.append(video)
        size += video.path.stat().st_size
        if size >= MAX_PIECE_BYTES or len(current) >= max_videos or video is videos[-1]:
            pieces.append(Piece(folder, plan, len(pieces), tuple(current)))
            current, size = [], 0
    return pieces


def _options(plan: PreparePlan, videos: Sequence[Video]) -> dict[str, Any]:
    """Return everything that determines the data set: the options and the list of videos."""
    listing = hashlib.sha256("\n".join(str(video.path) for video in videos).encode()).hexdigest()
    return {**asdict(plan), "videos": len(videos), "list": listing}


def _convert_piece(piece: Piece, _attempt: int) -> None:
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    reports = []
    with ExitStack() as open_files:
        writers = {
            held: open_files.enter_context(ClipWriter(piece.folder, split, piece.number))
            for held, split in ((False, TRAIN_SPLIT), (True, TEST_SPLIT))
        }
        for item in _convert_videos(piece):
            if isinstance(item, VideoReport):
                reports.append(asdict(item))
                log.info("%s: %d clips %s", item.path, item.clips, item.error)
            else:
                clip, held = item
                writers[held].add(clip)
    write_text(piece.done, json.dumps(reports))


def _convert_videos(piece: Piece) -> Iterator[Any]:
    for video in piece.videos:
        yield from convert_video(video, piece.plan)
