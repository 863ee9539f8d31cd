"""The command line end to end, with the starter engine and a photograph."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sadtalker_ext
from sadtalker_ext.cli import demo
from sadtalker_ext.cli.main import build_parser, main
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.read import probe, read_frames


def test_animate_writes_a_video_and_prints_the_result(program, portrait, voice, tmp_path):
    assert program("animate", portrait, voice, "-o", "new/talking.mp4", "--seed", "3", "--still") == 0
    info = probe(tmp_path / "new" / "talking.mp4")
    assert (info.width_px, info.height_px, info.rate_hz, info.codec) == (256, 256, 25.0, "h264")
    assert info.audio.codec == "aac"
    assert sum(1 for _ in read_frames(tmp_path / "new" / "talking.mp4")) == 10
    assert "talking.mp4: 0:00, 10 frames of 256x256" in program.out
    assert "x real time" in program.out
    assert "10/10" in program.err
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["talking.mp4"]


def test_idle_portrait_moves_without_sound(program, portrait, tmp_path):
    assert program("animate", portrait, "--idle", "4", "-o", "idle.mp4", "--json", "--quiet") == 0
    assert json.loads(program.out)["frames"] == 100
    assert not probe(tmp_path / "idle.mp4").has_audio
    frames = np.stack(list(read_frames(tmp_path / "idle.mp4"))).astype(int)
    assert np.abs(frames - frames[0]).mean(axis=(1, 2, 3)).max() > 0.4


def test_animate_prints_json(program, portrait, voice, tmp_path):
    assert program("animate", portrait, voice, "--json", "--quiet", "--frame-rate", "10") == 0
    result = json.loads(program.out)
    assert program.err == ""
    assert result["path"] == "outputs/portrait_voice.mp4".replace("/", os.sep)
    assert (result["frames"], result["width"], result["height"], result["duration_s"]) == (4, 256, 256, 0.4)
    assert set(result["stage_s"]) == {"engine", "portrait", "voice", "motion", "frames"}
    assert 0 < result["first_frame_s"] <= result["total_s"]
    assert probe(tmp_path / result["path"]).rate_hz == 10


def test_settings_of_show_can_be_used_again(program, portrait, voice):
    flags = ["--yaw", "-5,5", "--expression-scale", "0.5", "--quality", "small"]
    assert program("animate", portrait, voice, "-o", "a.mp4", "--quiet", *flags) == 0
    assert program("show", "a.mp4") == 0
    shown = Settings.from_json(program.out)
    assert shown == Settings(yaw="-5,5", expression_scale=0.5, quality="small")
    assert program("show", "a.mp4", "--flags") == 0
    assert program.out == "--expression-scale=0.5 --yaw=-5,5 --quality=small\n"
    assert program("animate", portrait, voice, "-o", "b.mp4", "--settings-from", "a.mp4", "--quality", "good") == 0
    assert program("show", "b.mp4") == 0
    assert Settings.from_json(program.out) == Settings(yaw="-5,5", expression_scale=0.5)


def test_threads_do_not_change_the_frames_and_settings_do(program, portrait, voice, tmp_path):
    videos = {}
    for name, flags in (("a", []), ("b", ["--threads", "1"]), ("c", ["--yaw", "4"])):
        assert program("animate", portrait, voice, "-o", f"{name}.mp4", "--quiet", *flags) == 0
        videos[name] = np.stack(list(read_frames(tmp_path / f"{name}.mp4")))
    np.testing.assert_array_equal(videos["a"], videos["b"])
    assert np.abs(videos["a"].astype(int) - videos["c"]).max() > 10


def test_result_is_labelled_as_ai_generated(program, portrait, voice):
    from sadtalker_ext.video.metadata import read_metadata

    assert program("animate", portrait, voice, "-o", "a.mp4", "--quiet") == 0
    tags = read_metadata("a.mp4")
    assert tags["description"].startswith("AI-generated")
    assert json.loads(tags["comment"])["version"] == sadtalker_ext.__version__


def test_batch_continues_and_reports_failures(program, portrait, voice, tmp_path):
    (tmp_path / "p").mkdir()
    portrait.rename(tmp_path / "p" / "a.png")
    (tmp_path / "p" / "bad.png").write_text("not a picture")
    (tmp_path / "p" / "c.png").write_bytes((tmp_path / "p" / "a.png").read_bytes())
    assert program("animate", "p", voice, "-o", "results", "--quiet") == 2
    assert sorted(path.name for path in (tmp_path / "results").iterdir()) == ["a_voice.mp4", "c_voice.mp4"]
    assert "2 of 3 videos made" in program.out
    assert "failed: p" in program.out
    assert "bad.png is a text file, not a picture" in program.out
    assert program("animate", "p", voice, "-o", "results", "--quiet", "--json") == 2
    output = json.loads(program.out)
    assert output["failed"] == 1
    assert [result.get("kind", "made") for result in output["results"]] == ["made", "MediaError", "made"]
    assert (tmp_path / "results" / "a_voice_2.mp4").exists()


def test_demo(program, tmp_path, voice, portrait, monkeypatch):
    """With a short voice; that of the demo is ten seconds long."""
    monkeypatch.setattr(demo, "demo_voice", lambda: voice)
    monkeypatch.setattr(demo, "demo_portrait", lambda: portrait)
    assert program("demo", "--sheet", "sheet.png", "--sheet-every", "3") == 0
    assert (tmp_path / "outputs" / "demo.mp4").stat().st_size > 1000
    assert "demo.mp4" in program.out
    for word in ("portrait", "voice", "motion", "frames", "x real time"):
        assert word in program.out
    assert Image.open(tmp_path / "sheet.png").size == (4 * 123, 123)


def test_demo_shows_a_free_view(program, tmp_path, voice, portrait, monkeypatch):
    monkeypatch.setattr(demo, "demo_voice", lambda: voice)
    monkeypatch.setattr(demo, "demo_portrait", lambda: portrait)
    assert program("demo", "--free-view", "-o", "a.mp4", "--quiet") == 0
    assert program("show", "a.mp4") == 0
    assert json.loads(program.out)["view"] == "orbit"
    assert program("demo", "--free-view", "--view", "dolly", "--yaw", "0:-20,0.3:50", "-o", "b.mp4", "--json") == 0
    (note,) = json.loads(program.out)["notes"]
    assert "yaw of 5" in note
    assert "(limit 30)" in note
    assert program("show", "b.mp4") == 0
    assert json.loads(program.out)["view"] == "dolly"


def test_demo_inputs_are_installed():
    assert demo.demo_voice().is_file()
    assert Image.open(demo.demo_portrait()).size == (512, 512)


@pytest.fixture
def pair(portrait, tmp_path):
    """A picture with two faces, the larger one on the left."""
    both = Image.new("RGB", (512, 256))
    both.paste(Image.open(portrait), (0, 0))
    both.paste(Image.open(portrait).resize((200, 200), Image.LANCZOS), (280, 40))
    both.save(tmp_path / "pair.png")
    return both


def test_largest_face_speaks_unless_another_is_chosen(program, pair, voice, tmp_path):
    moved = {}
    for face, note in (("largest", "2 faces (1 at"), ("2", ""), ("350,66,36,43", "")):
        assert program("animate", "pair.png", voice, "-o", "a.mp4", "--quiet", "--face", face) == 0
        assert note in program.out
        frames = np.stack(list(read_frames(tmp_path / "a.mp4"))).astype(int)
        moved[face] = np.ptp(frames, axis=0).max(axis=(0, 2)) > 20
    assert moved["largest"][:256].any()
    assert not moved["largest"][300:].any()
    for face in ("2", "350,66,36,43"):
        assert moved[face][300:].any()
        assert not moved[face][:256].any()


def test_faces_are_listed_and_drawn(program, pair, tmp_path):
    assert program("faces", "pair.png", "--draw", "drawn/faces.png", "--json") == 0
    output = json.loads(program.out)
    assert (output["width"], output["height"]) == (512, 256)
    first, second = output["faces"]
    assert (first["number"], second["number"]) == (1, 2)
    assert first["x"] < 256 < second["x"]
    assert first["height"] > second["height"]
    drawn, plain = np.asarray(Image.open(tmp_path / "drawn" / "faces.png")), np.asarray(pair)
    changed = np.argwhere((drawn != plain).any(axis=2))
    assert changed[:, 1].min() == pytest.approx(first["x"], abs=4)
    assert changed[:, 1].max() == pytest.approx(second["x"] + second["width"], abs=4)
    assert program("faces", "pair.png") == 0
    assert program.out.count("--face ") == 4


DEFAULT_SIGNALS = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""
"""Runs another program with the default handler of SIGINT, which shells disable for background processes."""


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_leaves_no_file(portrait, make_voice, tmp_path, number):
    arguments = ["animate", portrait, make_voice("long.wav", 30), "-o", "new/a.mp4"]
    command = [sys.executable, "-c", DEFAULT_SIGNALS, sys.executable, "-m", "sadtalker_ext", *arguments]
    child = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    before = []
    while " 1/750 " not in (before or [""])[-1]:
        before.append(child.stderr.readline())
        assert before[-1], "".join(before)
    assert [path.suffix for path in (tmp_path / "new").iterdir()] == [".part"]
    child.send_signal(number)
    _, output = child.communicate(timeout=300)
    assert child.returncode == 130
    assert all(int(done) < 500 for done in re.findall(r" (\d+)/750 ", output)), output
    assert output.strip().splitlines()[-1] == "sadtalker: stopped; no partial output was kept"
    assert "Traceback" not in output
    assert not (tmp_path / "new").exists()


def test_bug_keeps_its_traceback(monkeypatch, portrait, voice):
    from sadtalker_ext.pipeline import animate

    monkeypatch.setattr(animate, "prepare_inputs", lambda _: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        main(["animate", str(portrait), str(voice)])


def test_version_of_the_module():
    command = [sys.executable, "-m", "sadtalker_ext", "--version"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert run.stdout == f"sadtalker {sadtalker_ext.__version__}\n"
    pyproject = Path(__file__).parents[2].joinpath("pyproject.toml").read_text("utf-8")
    assert 'sadtalker = "sadtalker_ext.cli.main:entry_point"' in pyproject


def test_help_loads_little():
    """Counted in modules: the time depends on the machine, and nearly all of it is spent on loading them."""
    call = "try: main(['animate', '--help'])\nexcept SystemExit: pass\n"
    program = f"import sys; from sadtalker_ext.cli.main import main\n{call}"
    known = "argparse, json, dataclasses, pathlib, subprocess, tempfile, difflib, wave, concurrent.futures"

    def loaded(source):
        source += "print(*sys.modules, file=sys.stderr)"
        run = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
        return set(run.stderr.split())

    ours = loaded(program)
    assert not {"numpy", "torch", "PIL", "cv2", "scipy"} & ours
    foreign = {name for name in ours - loaded(f"import sys, {known}\n") if not name.startswith("sadtalker_ext")}
    assert len(foreign) < 30, sorted(foreign)


def test_help_lists_every_setting(capsys):
    parser = build_parser()
    with pytest.raises(SystemExit):
        parser.parse_args(["animate", "--help"])
    output = capsys.readouterr().out
    for spec in Settings.specs():
        assert f"--{spec.name.replace('_', '-')}" in output
