"""Practice clips: the geometric renderer animates a few portraits with exactly known motion, without a data set.

A clip depends only on the seed and its number, so the number of processes and interruptions do not change the data.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.constants import FRAME_RATE_HZ, SAMPLES_PER_FRAME
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.system.path_problems import make_folder
from sadtalker_ext.training.clips.dataset import (
    EXPRESSION_COUNT,
    Clip,
    ClipInfo,
    ClipWriter,
    count_clips,
    encode_image,
)
from sadtalker_ext.training.clips.practice_portraits import find_portraits, prepare_portraits
from sadtalker_ext.training.clips.practice_render import Actor, load_actor, moved_landmarks, render_frames
from sadtalker_ext.training.clips.practice_speech import check_source, open_source, speech_from_samples
from sadtalker_ext.training.clips.prepare_plan import CLIP_RANGE_S, check_size
from sadtalker_ext.training.clips.shards import TEST_SPLIT, TRAIN_SPLIT
from sadtalker_ext.training.clips.sound_samples import from_int16, to_int16
from sadtalker_ext.training.core.json_files import check_options, write_json
from sadtalker_ext.training.core.worker_pool import run_jobs
from sadtalker_ext.weights.packaged import PUPPET

if TYPE_CHECKING:
    from sadtalker_ext.training.clips.practice_speech import SpeechSource

log = logging.getLogger(__name__)

MAX_CLIPS: Final = 512_000
"""A thousand times the number that a run of the small size makes."""
SPLITS: Final = (TRAIN_SPLIT, TEST_SPLIT)
TEST_EVERY: Final = 8
"""For this many training clips there is one additional test clip."""
MIN_PIECES: Final = 16
"""A data set is rendered in at least this many pieces, each a shard, so that an interruption loses little work."""
SHARD_PX: Final = 600_000_000
"""Maximum number of pixels in a shard; a few hundred megabytes as JPEG."""
NO_LIMIT_BYTES: Final = 1 << 62
"""A piece is always one shard, whatever its size in bytes."""
MAX_CONSECUTIVE_CLIPS: Final = 32
"""Maximum number of consecutive clips of one portrait."""
OPTIONS_FILE: Final = "practice.json"
WORK_FOLDER: Final = "work"


@dataclass(frozen=True)
class PracticePlan:
    """Options of ``sadtalker train practice``.

    clips: number of training clips. size_px: side length of the frames. seconds: duration of each clip.
    portraits: folder of images; None uses the demo portrait. speech: corpus or audio files, see
    :func:`.practice_speech.open_source`. seed: determines motion and speech.
    """

    clips: int
    size_px: int = 128
    seconds: float = 2.0
    portraits: Path | None = None
    speech: Path | None = None
    seed: int = 0

    @property
    def frames(self) -> int:
        """Number of frames of each clip."""
        return round(self.seconds * FRAME_RATE_HZ)

    @property
    def test_clips(self) -> int:
        """Number of held-out clips."""
        return -(-self.clips // TEST_EVERY)

    def validate(self) -> None:
        """Raise SettingsError if an option is out of range."""
        low, high = CLIP_RANGE_S
        if not 1 <= self.clips <= MAX_CLIPS:
            raise SettingsError(f"--clips is {self.clips}; it must be from 1 to {MAX_CLIPS}")
        if not low <= self.seconds <= high:
            raise SettingsError(f"--seconds is {self.seconds}; it must be between {low:g} and {high:g}")
        check_size(self.size_px)


@dataclass(frozen=True)
class Piece:
    """Work for one process: the clips ``first`` to ``first + count - 1`` of a split, written to one shard."""

    folder: Path
    plan: PracticePlan
    identities: tuple[str, ...]
    split: str
    number: int
    first: int
    count: int

    @property
    def shard(self) -> Path:
        """Path of the shard; it exists once the piece is finished."""
        return self.folder / f"{self.split}-{self.number:06d}.tar"


def make_practice(folder: Path, plan: PracticePlan, processes: int = 1) -> ClipInfo:
    """Render practice clips to ``folder``; a repeated call resumes after an interruption."""
    plan.validate()
    portraits, speech = find_portraits(plan.portraits), check_source(plan.speech)
    make_folder(folder)
    check_options(folder / OPTIONS_FILE, asdict(plan))
    work = folder / WORK_FOLDER
    names, skipped = prepare_portraits(portraits, work, plan.size_px)
    pieces = split_work(folder, plan, tuple(names))
    pending = [piece for piece in pieces if not piece.shard.exists()]
    run_jobs(_render_piece, pending, processes, lambda piece: piece.shard.name)
    clips, identities, frames = count_clips(folder, SPLITS)
    info = ClipInfo(
        size_px=plan.size_px,
        coefficients=PUPPET,
        identities=identities,
        clips=clips,
        hours=frames / FRAME_RATE_HZ / 3600,
        sources=f"{len(names)} portraits animated by the geometric renderer with {speech}",
        split="other speech and other motion of the same portraits",
        lips="exact: the lip shapes that the starter engine predicts from the speech, on the face of the first frame",
        licence="that of the portraits and of the speech",
    )
    write_json(folder / "report.json", {"made": clips, "frames": frames, "left_out": skipped})
    info.save(folder)
    shutil.rmtree(work)
    return info


def split_work(folder: Path, plan: PracticePlan, identities: tuple[str, ...]) -> list[Piece]:
    """Return the pieces of a data set; they depend on the plan only."""
    largest = max(1, SHARD_PX // (plan.frames * plan.size_px**2))
    pieces = []
    for split, total in ((TRAIN_SPLIT, plan.clips), (TEST_SPLIT, plan.test_clips)):
        count = min(largest, -(-total // MIN_PIECES))
        for number, first in enumerate(range(0, total, count)):
            size = min(count, total - first)
            pieces.append(Piece(folder, plan, identities, split, number, first, size))
    return pieces


def identity_of(number: int, total: int, identities: int) -> int:
    """Return the portrait of clip ``number`` of ``total``: the portraits alternate after a number of clips each."""
    consecutive = max(1, min(MAX_CONSECUTIVE_CLIPS, -(-total // identities)))
    return number // consecutive % identities


def _render_piece(piece: Piece, _attempt: int) -> None:
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    total = piece.plan.clips if piece.split == TRAIN_SPLIT else piece.plan.test_clips
    speech = open_source(piece.plan.speech)
    with ClipWriter(piece.folder, piece.split, piece.number, limit_bytes=NO_LIMIT_BYTES) as writer:
        for number in range(piece.first, piece.first + piece.count):
            identity = piece.identities[identity_of(number, total, len(piece.identities))]
            seed = (piece.plan.seed, SPLITS.index(piece.split), number)
            actor = load_actor(piece.folder / WORK_FOLDER / f"{identity}.npz")
            name = f"{identity}-{piece.split}-{number:06d}"
            writer.add(_render_clip(name, actor, piece, speech, np.random.default_rng(seed)))
    log.info("%s: %d clips", piece.shard.name, piece.count)


def _render_clip(name: str, actor: Actor, piece: Piece, speech: SpeechSource, random: np.random.Generator) -> Clip:
    from sadtalker_ext.audio.mel import mel_spectrogram
    from sadtalker_ext.engines.sadtalker.puppet_coefficients import clip_coefficients
    from sadtalker_ext.training.clips.practice_motion import draw_lead_frames, practice_motion

    frames, lead = piece.plan.frames, draw_lead_frames(random)
    samples = speech.draw(random, (frames + lead) / FRAME_RATE_HZ, piece.split)
    motion = practice_motion(actor.engine, speech_from_samples(samples), lead, random)
    sound = to_int16(samples[lead * SAMPLES_PER_FRAME :])
    lips = motion.motion.replace(expression=motion.lip_expression)
    return Clip(
        name=name,
        identity=actor.identity,
        frames=tuple(encode_image(actor.portrait.crop(frame)) for frame in render_frames(actor, motion)),
        coefficients=clip_coefficients(motion.motion, actor.source),
        lip_expression=clip_coefficients(lips, actor.source)[:, :EXPRESSION_COUNT],
        lids=motion.lids,
        landmarks=moved_landmarks(actor, motion),
        mel=np.ascontiguousarray(mel_spectrogram(from_int16(sound)).T),
        sound=sound,
        source="practice",
    )
