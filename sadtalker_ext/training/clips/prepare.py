"""Videos of talking people become a data set of clips; several processes share the work, a stop loses little."""

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

from sadtalker_ext.errors import MediaError, SettingsError, WeightsError
from sadtalker_ext.ffmpeg import require_file
from sadtalker_ext.training.clips.dataset import ClipInfo, ClipWriter, count_clips
from sadtalker_ext.training.clips.prepare_clips import RATE_HZ, PreparePlan, VideoReport, read_video
from sadtalker_ext.training.clips.prepare_motion import RECON_SIZE_PX
from sadtalker_ext.training.clips.prepare_report import write_report
from sadtalker_ext.training.clips.prepare_sources import Video, find_videos
from sadtalker_ext.training.clips.shards import write_json, write_whole
from sadtalker_ext.training.core.worker_pool import run_jobs
from sadtalker_ext.weights.packaged import BFM, PUPPET

log = logging.getLogger(__name__)

TRAIN, TEST = "train", "test"
PIECE_BYTES: Final = 80_000_000
PIECE_VIDEOS: Final = 40
"""A piece of work ends with the video that exceeds one of these."""
PIECES: Final = 16
"""A few videos are shared out in about so many pieces."""
RECORD: Final = "prepare.json"
WORK: Final = "work"
LIPS: Final = {
    PUPPET: "the first frame's face with the mouth shapes as measured",
    BFM: "the expression as measured: the mouth cannot be told from the rest of the Basel model's expression, and no "
    "lips were rendered anew by Wav2Lip",
}
REDRAWN: Final = "read from each clip's first frame, whose lips Wav2Lip made to say the clip's sound"
LICENCE: Final = "that of the videos; whoever is seen must have agreed to this use"


@dataclass(frozen=True)
class Piece:
    """Videos that one process turns into one training and one test shard."""

    folder: Path
    plan: PreparePlan
    number: int
    videos: tuple[Video, ...]

    @property
    def done(self) -> Path:
        """Written last, with the reports of the piece."""
        return self.folder / WORK / f"piece-{self.number:06d}.json"


def prepare(sources: Sequence[Path], folder: Path, plan: PreparePlan, processes: int = 1) -> ClipInfo:
    """Turn the videos in ``sources`` into a data set in ``folder``; the same call goes on after a stop."""
    _check(plan)
    if plan.wav2lip is not None:
        require_file(plan.wav2lip, "checkpoint of Wav2Lip")
    videos = find_videos(sources)
    pieces = split_work(folder, plan, videos)
    (folder / WORK).mkdir(parents=True, exist_ok=True)
    _record(folder, plan, videos)
    run_jobs(_make, [piece for piece in pieces if not piece.done.exists()], processes)
    reports = [VideoReport(**row) for piece in pieces for row in json.loads(piece.done.read_text(encoding="utf-8"))]
    write_report(folder, reports)
    clips, people, frames = count_clips(folder, (TRAIN, TEST))
    if not frames:
        raise MediaError(f"None of the {len(videos)} videos gave a clip: {folder / 'report.md'} says why")
    card = ClipInfo(
        size_px=plan.size_px,
        coefficients=plan.coefficients,
        identities=people,
        clips=clips,
        hours=frames / RATE_HZ / 3600,
        sources=f"{len(videos)} videos, {sum(bool(report.clips) for report in reports)} of them used",
        split="the ends of long videos, and one of every eight short ones of a person",
        lips=LIPS[plan.coefficients] if plan.wav2lip is None else REDRAWN,
        licence=LICENCE,
    )
    card.save(folder)
    shutil.rmtree(folder / WORK)
    return card


def coefficients_named(wish: str, folders: Sequence[Path]) -> str:
    """The kind of coefficients for a wish: "auto" is "bfm" where the checkpoint of FaceRecon is, else "puppet"."""
    from sadtalker_ext.weights.catalog import PACKAGED_256
    from sadtalker_ext.weights.files import find_checkpoint, require_checkpoint
    from sadtalker_ext.weights.official import OLD_LAYOUT
    from sadtalker_ext.weights.packaged import find_packaged, read_packaged_config

    if wish == PUPPET:
        return PUPPET
    packaged = find_packaged(RECON_SIZE_PX, folders)
    old = all(find_checkpoint(entry, folders) for entry, _ in OLD_LAYOUT.values())
    if old or (packaged is not None and read_packaged_config(packaged)[0].coefficients == BFM):
        return BFM
    if wish == BFM:
        require_checkpoint(PACKAGED_256, folders)
        raise WeightsError(f"{packaged} was trained here and holds no FaceRecon; name the official file's folder first")
    return PUPPET


def split_work(folder: Path, plan: PreparePlan, videos: Sequence[Video]) -> list[Piece]:
    """Neighbouring videos in pieces of about the same size; they depend on the videos only."""
    pieces: list[Piece] = []
    waiting: list[Video] = []
    size, most = 0, min(PIECE_VIDEOS, -(-len(videos) // PIECES))
    for video in videos:
        waiting.append(video)
        size += video.path.stat().st_size
        if size >= PIECE_BYTES or len(waiting) >= most or video is videos[-1]:
            pieces.append(Piece(folder, plan, len(pieces), tuple(waiting)))
            waiting, size = [], 0
    return pieces


def _check(plan: PreparePlan) -> None:
    if plan.size_px <= 0 or plan.size_px % 16:
        raise SettingsError(f"--size is {plan.size_px}; it must be a multiple of 16 pixels")
    if not 0.4 <= plan.shortest_s <= plan.longest_s <= 60:
        raise SettingsError(
            f"--shortest is {plan.shortest_s} and --seconds {plan.longest_s}; they must lie between 0.4 and 60, the "
            "shortest first"
        )


def _record(folder: Path, plan: PreparePlan, videos: Sequence[Video]) -> None:
    """Note what is made, or refuse a folder that was begun with something else."""
    listing = hashlib.sha256("\n".join(str(video.path) for video in videos).encode()).hexdigest()
    mine: dict[str, Any] = json.loads(json.dumps({**asdict(plan), "videos": len(videos), "list": listing}, default=str))
    path = folder / RECORD
    theirs = json.loads(path.read_text(encoding="utf-8")) if path.exists() else mine
    changed = [f"{key} was {theirs.get(key)}, is {mine[key]}" for key in mine if theirs.get(key) != mine[key]]
    if changed:
        raise SettingsError(
            f"{folder} was begun with something else ({'; '.join(changed)}); give the same or another folder"
        )
    write_json(path, mine)


def _make(piece: Piece, _attempt: int) -> None:
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    reports = []
    with ExitStack() as open_files:
        writers = {
            held: open_files.enter_context(ClipWriter(piece.folder, split, piece.number))
            for held, split in ((False, TRAIN), (True, TEST))
        }
        for item in _read(piece):
            if isinstance(item, VideoReport):
                reports.append(asdict(item))
                log.info("%s: %d clips %s", item.path, item.clips, item.error)
            else:
                clip, held = item
                writers[held].add(clip)
    write_whole(piece.done, json.dumps(reports))


def _read(piece: Piece) -> Iterator[Any]:
    for video in piece.videos:
        yield from read_video(video, piece.plan)
