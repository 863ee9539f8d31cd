"""Practice data: the puppet renders as many talking clips as wanted, with exactly known motion, from a few portraits.

A clip follows from the seed and its number alone, so processes, stops and restarts change nothing.
"""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.audio.speech import SAMPLE_RATE_HZ
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.training.clips.dataset import Clip, ClipInfo, ClipWriter, count_clips, encode_picture
from sadtalker_ext.training.clips.practice_portraits import WorkingPortrait, find_portraits, prepare_portraits
from sadtalker_ext.training.clips.practice_speech import open_source, sampled_speech
from sadtalker_ext.training.clips.shards import write_json
from sadtalker_ext.training.core.worker_pool import run_jobs
from sadtalker_ext.weights.packaged import PUPPET

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sadtalker_ext.engines.starter.engine import StarterEngine
    from sadtalker_ext.puppet.renderer import PortraitRenderer
    from sadtalker_ext.training.clips.practice_motion import PracticeMotion
    from sadtalker_ext.training.clips.practice_speech import SpeechSource

    Floats = NDArray[np.float32]

log = logging.getLogger(__name__)

RATE_HZ: Final = 25
TRAIN, TEST = "train", "test"
TEST_EVERY: Final = 8
"""For so many training clips there is one more that is held out."""
PIECES: Final = 16
"""A data set is made in at least so many pieces, each a shard, so that a stop loses little."""
SHARD_PX: Final = 600_000_000
"""Pixels of pictures in a shard at most; as JPEG a few hundred megabytes."""
FULLEST_RUN: Final = 32
"""Clips of one portrait in a row, at most."""
RECORD: Final = "practice.json"
WORK: Final = "work"
LID_PAIRS: Final = ((37, 41), (38, 40), (43, 47), (44, 46))
"""Points of the upper and the lower lid over each other, of the person's right eye and then the left."""
UPPER_LID_SHARE: Final = 0.82
BELOW_MOUTH: Final = (*range(3, 14), *range(55, 60), *range(65, 68))
"""Of the 68 points those of the lower lip and the chin."""


@dataclass(frozen=True)
class PracticePlan:
    """clips: for training. size_px: side of the pictures. seconds: of each clip. portraits: folder, or None for the
    demo's. speech: a corpus, sound files, or None for what there is. seed: of all chance.
    """

    clips: int
    size_px: int = 128
    seconds: float = 2.0
    portraits: Path | None = None
    speech: Path | None = None
    seed: int = 0

    @property
    def frames(self) -> int:
        """Of each clip."""
        return round(self.seconds * RATE_HZ)

    @property
    def test_clips(self) -> int:
        """Held out."""
        return -(-self.clips // TEST_EVERY)


@dataclass(frozen=True)
class Piece:
    """One shard to make: clips ``first`` to ``first + count - 1`` of a split."""

    folder: Path
    plan: PracticePlan
    identities: tuple[str, ...]
    split: str
    number: int
    first: int
    count: int

    @property
    def shard(self) -> Path:
        """There once the piece is made."""
        return self.folder / f"{self.split}-{self.number:06d}.tar"


def make_practice(folder: Path, plan: PracticePlan, processes: int = 1) -> ClipInfo:
    """Fill ``folder`` with practice clips; the same command goes on after a stop."""
    _check(plan)
    folder.mkdir(parents=True, exist_ok=True)
    _record(folder, plan)
    work = folder / WORK
    names, skipped = prepare_portraits(find_portraits(plan.portraits), work, plan.size_px)
    pieces = split_work(folder, plan, tuple(names))
    run_jobs(_make, [piece for piece in pieces if not piece.shard.exists()], processes)
    clips, people, frames = count_clips(folder, (TRAIN, TEST))
    card = ClipInfo(
        size_px=plan.size_px,
        coefficients=PUPPET,
        identities=people,
        clips=clips,
        hours=frames / RATE_HZ / 3600,
        sources=f"{len(names)} portraits moved by the puppet to {open_source(plan.speech).words}",
        split="other speech and other motion of the same portraits",
        lips="exact: what the starter's network reads from the sound, on the first frame's face",
        licence="that of the portraits and voices it was made from",
    )
    write_json(folder / "report.json", {"made": clips, "frames": frames, "left_out": skipped})
    card.save(folder)
    shutil.rmtree(work)
    return card


def split_work(folder: Path, plan: PracticePlan, identities: tuple[str, ...]) -> list[Piece]:
    """The pieces of a data set; they depend on the plan only."""
    largest = max(1, SHARD_PX // (plan.frames * plan.size_px**2))
    pieces = []
    for split, total in ((TRAIN, plan.clips), (TEST, plan.test_clips)):
        count = min(largest, -(-total // PIECES))
        for number, first in enumerate(range(0, total, count)):
            size = min(count, total - first)
            pieces.append(Piece(folder, plan, identities, split, number, first, size))
    return pieces


def identity_of(number: int, total: int, identities: int) -> int:
    """Which portrait clip ``number`` of ``total`` shows: each in turn for a run of clips."""
    run = max(1, min(FULLEST_RUN, -(-total // identities)))
    return number // run % identities


def _check(plan: PracticePlan) -> None:
    wrong = {"--clips": plan.clips < 1, "--seconds": not 0.4 <= plan.seconds <= 60, "--size": plan.size_px % 16 != 0}
    values = {"--clips": plan.clips, "--seconds": plan.seconds, "--size": plan.size_px}
    told = {"--clips": "1 or more", "--seconds": "0.4 to 60", "--size": "a multiple of 16 pixels"}
    for name, bad in wrong.items():
        if bad or values[name] <= 0:
            raise SettingsError(f"{name} is {values[name]}; it must be {told[name]}")


def _record(folder: Path, plan: PracticePlan) -> None:
    """Note the plan, or refuse a folder that was begun with another."""
    path, mine = folder / RECORD, json.loads(json.dumps(asdict(plan), default=str))
    if path.exists():
        theirs = json.loads(path.read_text(encoding="utf-8"))
        changed = [f"{key} was {theirs.get(key)}, is {mine[key]}" for key in mine if theirs.get(key) != mine[key]]
        if changed:
            raise SettingsError(
                f"{folder} was begun with other options ({'; '.join(changed)}); give the same ones or another folder"
            )
    write_json(path, mine)


def _make(piece: Piece, _attempt: int) -> None:
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    total = piece.plan.clips if piece.split == TRAIN else piece.plan.test_clips
    speech = open_source(piece.plan.speech)
    with ClipWriter(piece.folder, piece.split, piece.number, limit_bytes=1 << 62) as writer:
        for number in range(piece.first, piece.first + piece.count):
            identity = piece.identities[identity_of(number, total, len(piece.identities))]
            seed = (piece.plan.seed, (TRAIN, TEST).index(piece.split), number)
            actor, name = _actor(piece.folder / WORK / f"{identity}.npz"), f"{identity}-{piece.split}-{number:06d}"
            writer.add(_clip(name, actor, piece, speech, np.random.default_rng(seed)))
    log.info("%s: %d clips", piece.shard.name, piece.count)


@dataclass(frozen=True)
class Actor:
    """A portrait that is ready to move, and the engine that has read it."""

    identity: str
    portrait: WorkingPortrait
    puppet: PortraitRenderer
    engine: StarterEngine
    source: Floats


@lru_cache(maxsize=1)
def _engine() -> StarterEngine:
    from sadtalker_ext.engines.starter.engine import StarterEngine
    from sadtalker_ext.runtime import Runtime

    return StarterEngine(Runtime(device="cpu", threads=1))


@lru_cache(maxsize=1)
def _actor(path: Path) -> Actor:
    from sadtalker_ext.engines.sadtalker.puppet_coefficients import portrait_coefficients
    from sadtalker_ext.engines.starter.engine import PIXEL_CENTRE
    from sadtalker_ext.geometry.landmarks import Landmarks
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.puppet.renderer import PortraitRenderer

    portrait = WorkingPortrait.load(path)
    engine = _engine()
    landmarks = Landmarks.from_mesh(portrait.mesh, "mediapipe")
    engine.read_face(Portrait(portrait.picture, landmarks, portrait.person))
    puppet = PortraitRenderer(portrait.picture, portrait.mesh - np.array(PIXEL_CENTRE, np.float32), portrait.person)
    source = portrait_coefficients(portrait.mesh, portrait.landmarks68, int(portrait.size_px))
    return Actor(path.stem, portrait, puppet, engine, source)


def _clip(name: str, actor: Actor, piece: Piece, speech: SpeechSource, random: np.random.Generator) -> Clip:
    from sadtalker_ext.audio.mel import mel_spectrogram
    from sadtalker_ext.engines.sadtalker.puppet_coefficients import clip_coefficients
    from sadtalker_ext.training.clips.practice_motion import lead_frames, practice_motion

    frames, lead = piece.plan.frames, lead_frames(random)
    wave = speech.draw(random, (frames + lead) / RATE_HZ, piece.split)
    moved = practice_motion(actor.engine, sampled_speech(wave), lead, random)
    sound = np.round(np.clip(wave[lead * SAMPLE_RATE_HZ // RATE_HZ :], -1, 1) * 32767).astype(np.int16)
    lips = moved.motion.replace(expression=moved.lip_expression)
    return Clip(
        name=name,
        identity=actor.identity,
        frames=tuple(encode_picture(actor.portrait.square(picture)) for picture in render(actor, moved)),
        coefficients=clip_coefficients(moved.motion, actor.source),
        lip_expression=clip_coefficients(lips, actor.source)[:, :64],
        lids=moved.lids,
        landmarks=moved_landmarks(actor, moved),
        mel=np.ascontiguousarray(mel_spectrogram(sound / np.float32(32768)).T),
        sound=sound,
        source="practice",
    )


def render(actor: Actor, moved: PracticeMotion) -> Iterator[NDArray[np.uint8]]:
    """The puppet's frames (H, W, 3) at working size, one at a time."""
    motion = moved.motion
    for row in zip(motion.expression, motion.rotation, motion.translation, strict=True):
        yield actor.puppet.render_frame(*row)


def moved_landmarks(actor: Actor, moved: PracticeMotion) -> Floats:
    """The 68 points (T, 68, 2) in pixels of the square: where the puppet takes those of the portrait."""
    from sadtalker_ext.geometry.landmarks import subset_68
    from sadtalker_ext.training.clips.practice_motion import LIDS

    still = subset_68(actor.portrait.mesh)
    below = np.isin(np.arange(len(still)), BELOW_MOUTH)
    motion, placed = moved.motion, []
    for expression, rotation, translation in zip(
        motion.expression, motion.rotation, motion.translation, strict=True
    ):
        left, right = expression[list(LIDS)]
        points = still.copy()
        for (upper, lower), closing in zip(LID_PAIRS, (right, right, left, left), strict=True):
            gap = still[lower] - still[upper]
            points[upper] += closing * UPPER_LID_SHARE * gap
            points[lower] -= closing * (1.0 - UPPER_LID_SHARE) * gap
        placed.append(actor.puppet.place_points(points, below, (expression, rotation, translation)))
    return actor.portrait.to_square(np.stack(placed))
