"""Conversion of videos into clips: cuts, excluded seconds, resuming, and the content of the clips."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_plan import PLAN, SIZE
from synthetic_videos import another_scene, astronaut, empty_scene, talking_frames, voice, write

from sadtalker_ext.errors import MediaError, SettingsError, WeightsError
from sadtalker_ext.faces.find import track_faces
from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.training.clips import prepare as prepare_module
from sadtalker_ext.training.clips import prepare_clips, prepare_motion
from sadtalker_ext.training.clips.dataset import ClipStore
from sadtalker_ext.training.clips.prepare import prepare, select_coefficients, split_work
from sadtalker_ext.training.clips.prepare_plan import PreparePlan
from sadtalker_ext.training.clips.prepare_report import VideoReport, format_report
from sadtalker_ext.training.clips.prepare_sources import Video
from sadtalker_ext.training.clips.prepare_tracking import (
    CUT,
    NO_FACE,
    SHORT,
    SIMILAR_FACES,
    SMALL,
)

FIRST, SECOND, EMPTY = 50, 30, 15
"""Frames of the scenes of the synthetic film."""


def inline(work, jobs, processes, name):
    for job in jobs:
        work(job, 0)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("videos")
    actor = astronaut(tmp_path_factory.mktemp("actor"))
    frames = talking_frames(actor, FIRST + SECOND, seed=1)
    film = frames[:FIRST] + [another_scene(frame) for frame in frames[FIRST:]] + empty_scene(frames[0].shape, EMPTY)
    write(folder / "WDA_Astro_000.mp4", film)
    write(folder / "mute.mp4", frames[:12], sound=False)
    write(folder / "pair.mp4", [np.concatenate([frame, frame[:, ::-1]], axis=1) for frame in frames[:13]])
    (folder / "broken.mp4").write_bytes(b"no video at all" * 20)
    (folder / "notes.txt").write_text("not a video")
    return folder, film


@pytest.fixture(scope="module")
def data(videos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare_module, "run_jobs", inline)
        info = prepare([videos[0]], folder, PLAN)
    return folder, info, json.loads((folder / "report.json").read_text())


def clips_of(folder):
    return [clip for split in ("train", "test") for clip in ClipStore(folder, split)]


def start_of(clip):
    return round(float(clip.source.split(" from ")[1].split()[0]) * 25)


def test_clips_end_at_scene_cuts(data):
    folder, info, _ = data
    spans = sorted((start_of(clip), start_of(clip) + len(clip)) for clip in clips_of(folder))
    assert spans == [(0, 25), (25, 50), (50, 80)]
    assert info.identities == ("WDA_Astro",)
    assert sum(info.clips.values()) == 3
    assert info.clips["test"] == 1


def test_report_lists_excluded_seconds_by_reason(data):
    folder, _, report = data
    by_name = {Path(row["path"]).name: row for row in report["videos"]}
    assert set(by_name) == {"WDA_Astro_000.mp4", "mute.mp4", "pair.mp4", "broken.mp4"}
    assert by_name["WDA_Astro_000.mp4"]["lost_s"] == {NO_FACE: EMPTY / 25}
    assert by_name["WDA_Astro_000.mp4"]["cuts"].get(CUT, 0) >= 1
    assert by_name["pair.mp4"]["lost_s"] == {SIMILAR_FACES: 13 / 25}
    assert "no sound" in by_name["mute.mp4"]["error"]
    assert "cannot be read as video or audio" in by_name["broken.mp4"]["error"]
    text = (folder / "report.md").read_text()
    assert f"| {NO_FACE} | 0.6 |" in text
    assert "mute.mp4 has no sound" in text


def test_images_and_sound_match_the_video(data, videos):
    _, film = videos
    for clip in clips_of(data[0]):
        start = start_of(clip)
        expected = voice()[start * 640 : (start + len(clip)) * 640]
        assert np.corrcoef(clip.sound / 32768, expected)[0, 1] > 0.9  # AAC in between
        for number in (0, len(clip) - 1):
            here, elsewhere = (_match_score(clip.image(number), film[frame]) for frame in _frame_pair(start + number))
            assert here > elsewhere


def _frame_pair(frame):
    return frame, (frame + 7) % (FIRST + SECOND)


def _match_score(picture, frame):
    """Best correlation of the image of the clip with the frame, over positions and several sizes."""
    import cv2

    best = -1.0
    for side in range(200, 420, 20):
        if side <= min(frame.shape[:2]):
            found = cv2.matchTemplate(frame, cv2.resize(picture, (side, side)), cv2.TM_CCOEFF_NORMED)
            best = max(best, float(found.max()))
    return best


def test_landmarks_match_the_tracked_face(data):
    clip = clips_of(data[0])[0]
    seen = list(track_faces(clip.image(frame) for frame in range(0, len(clip), 6)))
    for face, points in zip(seen, clip.landmarks[::6], strict=True):
        assert np.median(np.linalg.norm(subset_68(face.mesh) - points, axis=1)) < 0.012 * SIZE


def test_clip_has_one_box_and_one_crop(data):
    for clip in clips_of(data[0]):
        assert np.ptp(clip.coefficients[:, 70:], axis=0).max() == 0
        border = np.stack([clip.image(number)[:6, :6] for number in range(len(clip))]).astype(float)
        assert border.std(axis=0).mean() < 6  # the background stands still
        assert clip.mel.shape == (1 + len(clip.sound) // 200, 80)
        mouth = list(range(7))
        others = [column for column in range(64) if column not in mouth]
        assert np.ptp(clip.lip_expression[:, others], axis=0).max() == 0
        np.testing.assert_array_equal(clip.lip_expression[:, mouth], clip.coefficients[:, mouth])


def test_interrupted_run_resumes_and_other_options_are_refused(data, videos, tmp_path, monkeypatch):
    folder, made = tmp_path / "data", []

    def stop_after_two(work, jobs, processes, name):
        for job in jobs[:2]:
            work(job, 0)
        raise KeyboardInterrupt

    def count(work, jobs, processes, name):
        made.extend(job.number for job in jobs)
        inline(work, jobs, processes, name)

    monkeypatch.setattr(prepare_module, "run_jobs", stop_after_two)
    with pytest.raises(KeyboardInterrupt):
        prepare([videos[0]], folder, PLAN)
    with pytest.raises(SettingsError, match="size_px was 128, is 64"):
        prepare([videos[0]], folder, PreparePlan(size_px=64, shortest_s=0.8, longest_s=1.2))
    monkeypatch.setattr(prepare_module, "run_jobs", count)
    assert prepare([videos[0]], folder, PLAN) == data[1]
    assert made == [2, 3]
    for name in ("train-000000.tar", "test-000000.tar"):
        assert (folder / name).read_bytes() == (data[0] / name).read_bytes()


def test_face_recon_measures_frames_like_the_engine(videos, tmp_path, monkeypatch):
    import torch

    from sadtalker_ext.geometry.five_point_alignment import align_picture, align_transform, flip_y
    from sadtalker_ext.models.face_recon import FaceRecon

    torch.manual_seed(0)
    network = FaceRecon().eval()
    monkeypatch.setattr(prepare_motion, "_load_face_recon", lambda folders: network)
    plan = PreparePlan(size_px=SIZE, shortest_s=0.8, longest_s=1.2, coefficients="bfm")
    video = Video(videos[0] / "WDA_Astro_000.mp4", "astro", 0, 0, 1)
    seen, real = [], prepare_clips.encode_image

    def encode(picture):
        seen.append(picture)
        return real(picture)

    monkeypatch.setattr(prepare_clips, "encode_image", encode)
    clip, _ = next(prepare_clips.extract_clips(video, plan, VideoReport("", "")))
    np.testing.assert_array_equal(clip.lip_expression, clip.coefficients[:, :64])
    transform = align_transform(flip_y(clip.landmarks[0], SIZE), SIZE, SIZE)
    aligned = align_picture(seen[0], transform)
    with torch.inference_mode():
        parts = network(torch.from_numpy(aligned.astype(np.float32) / 255).permute(2, 0, 1)[None])
    expected = torch.cat((parts.expression, parts.angle, parts.translation), dim=1)[0].numpy()
    np.testing.assert_allclose(clip.coefficients[0, :70], expected, atol=1e-4)
    np.testing.assert_allclose(clip.coefficients[0, 70:], transform[2:], rtol=1e-5)
    assert np.ptp(clip.coefficients[:, 70:], axis=0).min() > 0  # measured in each frame, as the official code does


def test_wav2lip_renders_lip_targets(videos, tmp_path, monkeypatch):
    asked = []

    def spoken(network, picture, landmarks, mel, frames):
        asked.append((network, picture.copy(), landmarks, len(mel), frames))
        return iter([picture] * frames)

    monkeypatch.setattr("sadtalker_ext.training.clips.lip_targets.render_lip_frames", spoken)
    monkeypatch.setattr(prepare_motion, "_load_wav2lip", lambda path: path)
    plan = PreparePlan(size_px=SIZE, shortest_s=0.8, longest_s=1.2, wav2lip=tmp_path / "lips.pth")
    video = Video(videos[0] / "WDA_Astro_000.mp4", "astro", 0, 0, 1)
    clip, _ = next(prepare_clips.extract_clips(video, plan, VideoReport("", "")))
    (network, picture, landmarks, columns, frames), *_ = asked
    assert (network, columns, frames) == (plan.wav2lip, len(clip.mel), len(clip))
    assert np.abs(picture.astype(int) - clip.image(0)).mean() < 3
    np.testing.assert_array_equal(landmarks, clip.landmarks[0])
    # the fake network does not move the lips, so every frame has the lips of the first one
    assert np.ptp(clip.lip_expression, axis=0).max() < np.ptp(clip.coefficients[:, :64], axis=0).max() / 3
    assert np.abs(clip.lip_expression[0] - clip.coefficients[0, :64]).max() < 0.35
    with pytest.raises(MediaError, match=r"lips\.pth does not exist"):
        prepare([videos[0]], tmp_path / "data", plan)


def test_pieces_have_every_video_once(tmp_path):
    (tmp_path / "x").write_bytes(b"x")
    videos = [Video(tmp_path / "x", "a", number, number, 100) for number in range(100)]
    pieces = split_work(tmp_path, PLAN, videos)
    assert [video.number for piece in pieces for video in piece.videos] == list(range(100))
    assert [piece.number for piece in pieces] == list(range(len(pieces)))
    assert len(pieces) > 10


def test_selection_of_coefficients(tmp_path):
    assert select_coefficients("auto", (tmp_path,)) == "puppet"
    assert select_coefficients("puppet", (tmp_path,)) == "puppet"
    with pytest.raises(WeightsError, match=r"SadTalker_V0\.0\.2_256"):
        select_coefficients("bfm", (tmp_path,))


@pytest.mark.parametrize("plan", [PreparePlan(size_px=100), PreparePlan(shortest_s=5), PreparePlan(longest_s=100)])
def test_invalid_plans_are_refused(tmp_path, plan):
    with pytest.raises(SettingsError, match=r"it must be|they must be"):
        prepare([tmp_path], tmp_path, plan)


def test_markdown_report_lists_videos_without_clips():
    reports = [VideoReport("a.mp4", "a", 10, 2, 8, {SHORT: 2}), VideoReport("b.mp4", "b", 3, 0, 0, {SMALL: 3})]
    text = format_report(reports)
    assert "2 videos, 13 s read, 8 s in 2 clips." in text
    assert f"| b.mp4 | {SMALL} 3.0 s |" in text
    assert "| a.mp4" not in text
