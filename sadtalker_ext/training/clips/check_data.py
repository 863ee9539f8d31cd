"""Check of a data set before training: files, frame rate, sound, sync, motion, speakers."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.training.clips.check_crops import blue_excess, check_colours, check_crop, check_targets
from sadtalker_ext.training.clips.check_duplicates import ClipCopies
from sadtalker_ext.training.clips.check_files import SPLITS, damaged, decode_frames, read_clips
from sadtalker_ext.training.clips.check_lips import check_lips, gap_finding, sound_gap
from sadtalker_ext.training.clips.check_motion import (
    check_pictures,
    check_sound,
    check_tracks,
    frame_rate_finding,
    lip_curves_of,
)
from sadtalker_ext.training.clips.check_report import CheckReport, Finding, merge
from sadtalker_ext.training.clips.check_speakers import check_speakers
from sadtalker_ext.training.clips.check_sync import LipPair, lip_pair
from sadtalker_ext.training.clips.dataset import INFO_NAME, ClipInfo
from sadtalker_ext.training.clips.shards import list_shards
from sadtalker_ext.training.clips.sound_samples import from_int16
from sadtalker_ext.weights.packaged import PUPPET

if TYPE_CHECKING:
    from pathlib import Path

    from sadtalker_ext.engines.starter.lip_curves import LipCurves
    from sadtalker_ext.training.clips.dataset import Clip

log = logging.getLogger(__name__)

SAMPLE: Final = 200
"""Clips whose pictures are decoded and whose lips are compared with the sound; 0.2 s each on a CPU core."""
LOG_EVERY: Final = 100


@dataclass
class _Progress:
    """What is known of the clips read so far."""

    findings: list[Finding] = field(default_factory=list)
    pairs: list[LipPair] = field(default_factory=list)
    frames: dict[str, int] = field(default_factory=dict)
    blue: list[float] = field(default_factory=list)
    clips: int = 0


def check_data(folder: Path, sample: int = SAMPLE) -> CheckReport:
    """Check a data set of ``train practice`` or ``prepare``.

    sample: number of clips, spread evenly, whose pictures and lips are checked; 0 checks all. The sound, the files and
    the tracks of every clip are always checked. Raises MediaError if ``folder`` is no finished data set.
    """
    from sadtalker_ext.engines.starter.lip_curves import open_lip_curves

    info = ClipInfo.load(folder)
    total = sum(info.clips.values())
    every = 1 if sample == 0 else max(1, total // sample)
    done, curves, copies = _Progress(), open_lip_curves(), ClipCopies(info.size_px)
    done.findings += _check_info(folder, info)
    for number, (split, item) in enumerate(read_clips(folder, info)):
        if isinstance(item, Finding):
            done.findings.append(item)
            continue
        done.findings += copies.add(item, split)
        _check_clip(item, done, curves if number % every == 0 else None, info)
        if (number + 1) % LOG_EVERY == 0:
            log.info("%d of %d clips", number + 1, total)
    done.findings += [*check_lips(done.pairs), *check_colours(done.blue)]
    done.findings += check_speakers(done.frames, "frames")
    hours = sum(done.frames.values()) / FRAME_RATE_HZ / 3600
    summary = {"clips": done.clips, "speakers": len(done.frames), "hours": round(hours, 3), "compared": len(done.pairs)}
    return CheckReport(summary, tuple(merge(done.findings)))


def _check_info(folder: Path, info: ClipInfo) -> list[Finding]:
    findings = []
    if info.rate_hz != FRAME_RATE_HZ:
        findings.append(frame_rate_finding(INFO_NAME, f"{info.rate_hz} per second"))
    for split in SPLITS:
        if not list_shards(folder, split):
            findings.append(damaged(f"{split}-*.tar", "there is no shard"))
    return findings


def _check_clip(clip: Clip, done: _Progress, curves: LipCurves | None, info: ClipInfo) -> None:
    done.clips += 1
    done.frames[clip.identity] = done.frames.get(clip.identity, 0) + len(clip)
    found = [*check_sound(clip), *check_tracks(clip)]
    if not found and (gap := sound_gap(from_int16(clip.sound), lip_curves_of(clip)[:, 0])):
        found.append(gap_finding(clip.name, gap))
    if info.coefficients == PUPPET:
        found += check_targets(clip)
    if curves is not None:
        frames = decode_frames(clip)
        if isinstance(frames, Finding):
            found.append(frames)
        else:
            found += [*check_pictures(clip, frames), *check_crop(clip, frames)]
            done.blue.append(blue_excess(clip, frames))
        # Lips that do not move, and sound of another length, have no lag.
        compared = not any(finding.check in ("silent", "no_motion", "frame_rate") for finding in found)
        pair = lip_pair(clip, curves) if compared else None
        done.pairs += [pair] if pair is not None else []
    done.findings += found
