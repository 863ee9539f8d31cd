"""``sadtalker train check``: a clean set of practice clips has no problem, and each faulty set is recognised."""

from __future__ import annotations

import json
from dataclasses import replace

import cv2
import faulty_clips as faulty
import numpy as np
import pytest
import torch
from synthetic_videos import VOICE

from sadtalker_ext.cli.main import main
from sadtalker_ext.training.clips import practice
from sadtalker_ext.training.clips.check_data import check_data
from sadtalker_ext.training.clips.check_report import LISTED, CheckReport, Finding, merge
from sadtalker_ext.training.clips.check_sync import (
    CLIP_LIMITS,
    LipPair,
    check_sync,
    find_lag,
    find_rate,
    independent_values,
)
from sadtalker_ext.training.clips.practice import PracticePlan, make_practice

SPEAKERS = 6
PLAN = PracticePlan(clips=SPEAKERS, size_px=64, seconds=2.0, speech=VOICE, seed=5)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    """Seven practice clips of one portrait, each with the name of another speaker."""
    folder = tmp_path_factory.mktemp("clean")

    def inline(work, jobs, processes, name):
        threads = torch.get_num_threads(), cv2.getNumThreads()
        for job in jobs:
            work(job, 0)
        torch.set_num_threads(threads[0])
        cv2.setNumThreads(threads[1])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(practice, "run_jobs", inline)
        make_practice(folder / "practice", PLAN)
    return faulty.copy_data(
        folder / "practice", folder / "clean", lambda number, clip: replace(clip, identity=f"person{number % SPEAKERS}")
    )


def problems(folder):
    """Return the places of each problem by the name of the check."""
    places: dict[str, dict[str, str]] = {}
    for finding in check_data(folder).findings:
        places.setdefault(finding.check, {}).update(finding.places)
    return places


def test_a_clean_set_has_no_problem(clean, capsys):
    assert main(["train", "check", str(clean)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("7 clips, 6 speakers, ")
    assert "No problem was found." in out
    assert main(["train", "check", str(clean), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == []


@pytest.mark.parametrize(("seconds", "side"), [(0.3, "behind"), (-0.28, "before")])
def test_sound_and_picture_apart(clean, tmp_path, seconds, side):
    data = faulty.copy_data(clean, tmp_path / "data", lambda _, clip: faulty.delayed(clip, seconds))
    found = problems(data)
    assert set(found) == {"sync"}
    assert len(found["sync"]) >= 6
    lags = [float(text.split("sound ")[1].split()[0]) for text in found["sync"].values()]
    assert abs(np.median(lags) - abs(seconds)) <= 0.05
    assert all(side in text for text in found["sync"].values())


def test_single_clips_whose_sound_is_late_are_named(clean, tmp_path):
    def change(number, clip):
        return faulty.delayed(clip, 0.32) if number in (0, 1, 4) else clip

    found = problems(faulty.copy_data(clean, tmp_path / "data", change))
    assert set(found) == {"sync"}
    named = {int(name[-6:]) for name in found["sync"]}
    assert named <= {0, 1, 4}, "no clip that is in sync"
    assert len(named) >= 2, "two seconds are too short for some clips"


@pytest.mark.parametrize("rate_hz", [20, 30])
def test_another_frame_rate_with_the_sound_cut_to_fit(clean, tmp_path, rate_hz):
    found = problems(faulty.copy_data(clean, tmp_path / "data", lambda _, clip: faulty.at_rate(clip, rate_hz)))
    assert found == {"frame_rate": {"all clips": f"lips and voice agree at {rate_hz} frames per second"}}


def test_another_frame_rate_with_the_whole_sound_with_repeats_or_in_the_card(clean, tmp_path, capsys):
    def change(number, clip):
        if number == 0:
            return faulty.with_frames(clip, np.arange(60) / 1.2)
        return faulty.with_frames(clip, np.floor(np.floor(np.arange(50) * 0.6) / 0.6)) if number == 1 else clip

    data = faulty.copy_data(clean, tmp_path / "data", change, rate_hz=30)
    assert main(["train", "check", str(data)]) == 1
    out = capsys.readouterr().out
    assert "60 frames, 2.00 s of sound: 30 per second" in out
    assert "of the frames repeat the previous one: about 15 per second" in out
    assert "card.json (30 per second)" in out
    assert "Remedy: prepare the original videos" in out
    assert "1 problem found." in out


def test_still_flickering_and_silent_clips(clean, tmp_path):
    changes = {0: faulty.frozen, 1: faulty.trembling, 2: faulty.silent, 3: flashing, 4: still_coefficients}
    data = faulty.copy_data(clean, tmp_path / "data", lambda number, clip: changes.get(number, lambda c: c)(clip))
    found = problems(data)
    numbers = {check: sorted(int(name[-6:]) for name in places) for check, places in found.items()}
    assert numbers == {"no_motion": [0, 4], "flicker": [1, 3], "silent": [2]}


def flashing(clip):
    """Return the clip with every other picture darker."""
    pictures = [clip.image(number) for number in range(len(clip))]
    dark = [np.round(picture * (0.9 if number % 2 else 1.0)) for number, picture in enumerate(pictures)]
    return replace(clip, frames=tuple(faulty.encode_image(picture.astype(np.uint8)) for picture in dark))


def still_coefficients(clip):
    return replace(clip, lip_expression=np.repeat(clip.lip_expression[:1], len(clip), axis=0))


def test_clips_with_the_sound_of_others_and_noisy_targets(clean, tmp_path):
    random = np.random.default_rng(0)
    sounds = []

    def change(number, clip):
        sounds.append(clip.sound)
        noise = np.zeros_like(clip.lip_expression)
        noise[:, :8] = 0.15 * random.standard_normal((len(clip), 8))
        noisy = replace(clip, lip_expression=clip.lip_expression + noise) if number == 1 else clip
        return faulty.with_sound(noisy, sounds[number - 1] if number else clip.sound[::-1])

    report = check_data(faulty.copy_data(clean, tmp_path / "data", change))
    problems = {finding.check: finding for finding in report.findings}
    assert set(problems) == {"sync", "flicker"}
    assert problems["sync"].problem.startswith("the lips do not follow the sound")
    assert [name[-6:] for name in problems["flicker"].places] == ["000001"]


def test_too_few_speakers(clean, tmp_path):
    data = faulty.copy_data(clean, tmp_path / "data", lambda number, clip: replace(clip, identity=f"p{number % 2}"))
    report = check_data(data)
    assert [finding.check for finding in report.findings] == ["speakers"]
    assert "2 of 5" in report.findings[0].problem
    assert set(report.findings[0].places) == {"p0", "p1"}


def test_features_that_are_not_those_of_the_sound(clean, tmp_path):
    def change(number, clip):
        return replace(clip, mel=clip.mel * np.float32(0.5)) if number == 3 else clip

    found = problems(faulty.copy_data(clean, tmp_path / "data", change))
    assert set(found) == {"features"}
    assert len(found["features"]) == 1


def test_damaged_files_are_named_and_the_others_still_checked(clean, tmp_path, capsys):
    data = faulty.copy_data(clean, tmp_path / "data", lambda _, clip: clip)
    shard = data / "train-000000.tar"
    content = bytearray(shard.read_bytes())
    content[-len(content) // 3 :] = b""
    at = content.index(b"\xff\xd8", 20000)
    content[at : at + 2] = b"no"
    shard.write_bytes(content)
    (data / "test-000000.index.json").write_text("{")
    assert main(["train", "check", str(data), "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    damaged = next(problem for problem in report["problems"] if problem["check"] == "damaged")
    assert 4 <= len(damaged["places"]) <= 6
    assert any("not a complete image" in reason for reason in damaged["places"].values())
    assert "test-000000.tar" in damaged["places"]
    assert report["summary"]["clips"] >= 2


def test_folders_without_a_data_set_are_refused(tmp_path, capsys):
    assert main(["train", "check", str(tmp_path)]) == 2
    assert "is not a finished data set" in capsys.readouterr().err
    assert main(["train", "check", str(tmp_path), "--sample", "-1"]) == 2


def test_findings_of_one_problem_are_joined_and_long_lists_cut():
    joined = merge(Finding("silent", "no sound", "remove them", {f"clip{number}": "0 %"}) for number in range(8))
    assert len(joined) == 1
    text = CheckReport({"clips": 8}, tuple(joined)).to_text()
    assert f"clip{LISTED - 1} (0 %) and {8 - LISTED} more" in text
    assert text.endswith("1 problem found.")


def noise_pairs(count, smooth, frames=75, seed=0):
    """Return pairs of unrelated smooth curves."""
    random = np.random.default_rng(seed)
    kernel = np.hanning(smooth + 2)[1:-1]
    draws = random.standard_normal((count, 2, 2, frames + smooth - 1))
    curves = np.apply_along_axis(lambda row: np.convolve(row, kernel, "valid"), 3, draws)
    return [LipPair(f"c{n}", f"v{n % 5}", pair[0].T, pair[1].T) for n, pair in enumerate(curves)]


@pytest.mark.parametrize("smooth", [3, 25])
def test_unrelated_lips_and_sound_have_no_lag_and_no_rate(smooth):
    pairs = noise_pairs(25, smooth)
    assert find_rate(pairs) is None
    assert [find_lag([pair], CLIP_LIMITS) for pair in pairs] == [None] * 25
    findings = list(check_sync(pairs))
    assert [finding.problem for finding in findings] == ["the lips do not follow the sound at any lag up to 0.6 s"]
    assert list(check_sync(pairs[:4])) == [], "too few to tell"


def test_smooth_curves_have_few_independent_values():
    rough, smooth = (np.mean([independent_values(p, 0) for p in noise_pairs(20, k)]) for k in (1, 25))
    assert rough > 55
    assert smooth < 20
