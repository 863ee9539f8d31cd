"""Invalid inputs give one clear message and exit code 2, and leave no file."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.cli.main import main

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs a device that only Linux has")


@pytest.fixture
def noise(tmp_path):
    path = tmp_path / "noise.png"
    pixels = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def write_bytes(path, content):
    path.write_bytes(content)
    return path


def test_missing_files(program, portrait, voice):
    assert "missing.png does not exist" in program.refused("animate", "missing.png", voice)
    assert "missing.wav does not exist" in program.refused("animate", portrait, "missing.wav")


def test_empty_files(program, portrait, voice, tmp_path):
    empty = write_bytes(tmp_path / "empty.png", b"")
    assert "empty.png is empty" in program.refused("animate", empty, voice)
    empty = write_bytes(tmp_path / "empty.wav", b"")
    assert "empty.wav is empty" in program.refused("animate", portrait, empty)


def test_text_files_with_other_suffixes(program, portrait, voice, tmp_path):
    text = write_bytes(tmp_path / "notes.png", b"These are notes, not a picture.\n" * 20)
    assert "notes.png is a text file, not a picture" in program.refused("animate", text, voice)
    text = write_bytes(tmp_path / "notes.mp3", b"These are notes, not audio.\n" * 20)
    assert "notes.mp3 cannot be read" in program.refused("animate", portrait, text)


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"), (b"%PDF-1.7\n", "a PDF document"),
     (b"%!PS-Adobe-3.0 EPSF-3.0\n", "an EPS drawing"), (b"\xd7\xcd\xc6\x9a" + bytes(40), "a Windows metafile (WMF)")],
)  # fmt: skip
def test_documents_with_the_suffix_of_a_picture(program, voice, tmp_path, content, kind):
    document = write_bytes(tmp_path / "photo.png", content)
    for arguments in (("animate", document, voice), ("faces", document)):
        message = f"photo.png is {kind}, which cannot be used as a picture: save it as PNG or JPEG"
        assert message in program.refused(*arguments)


def test_truncated_picture(program, portrait, voice, tmp_path):
    cut = write_bytes(tmp_path / "cut.png", portrait.read_bytes()[:5000])
    assert "cut.png is damaged or incomplete" in program.refused("animate", cut, voice)


def test_video_without_sound_as_voice(program, portrait, voice, tmp_path):
    from sadtalker_ext.video.write import VideoSpec, write_video

    silent = tmp_path / "silent.mp4"
    write_video((np.full((64, 64, 3), 99, np.uint8) for _ in range(10)), silent, VideoSpec(25.0))
    assert "has no audio" in program.refused("animate", portrait, silent)


def test_voice_too_short(program, portrait, make_voice):
    assert "lasts 0.100 s: choose at least 0.2 s" in program.refused("animate", portrait, make_voice("short.wav", 0.1))


def test_silent_voice(program, portrait, make_voice):
    assert "is silent" in program.refused("animate", portrait, make_voice("silent.wav", 1.0, loudness=0.0))


def test_picture_too_small_or_too_large(program, voice, tmp_path):
    for side_px, message in ((63, "less than 64 px"), (8193, "more than 8192 px")):
        path = tmp_path / f"{side_px}.png"
        Image.new("L", (side_px, 70)).save(path)
        assert message in program.refused("animate", path, voice)


def test_picture_without_a_face(program, noise, voice):
    message = program.refused("animate", noise, voice)
    assert "No face was found" in message
    assert "set the face to a box around it, x,y,width,height" in message
    assert "No face was found" in program.refused("faces", noise)


def test_face_that_is_too_small(program, portrait, voice, tmp_path):
    canvas = Image.new("RGB", (600, 600), (120, 130, 140))
    canvas.paste(Image.open(portrait).resize((40, 40), Image.LANCZOS), (300, 300))
    canvas.save(tmp_path / "far.png")
    assert "No face was found" in program.refused("animate", tmp_path / "far.png", voice)
    message = program.refused("animate", tmp_path / "far.png", voice, "--face", "310,300,12,16")
    assert "310,300,12,16 is too small, at least 24 pixels" in message


def test_face_cut_by_the_border(program, portrait, voice, tmp_path):
    cut = Image.open(portrait).crop((112, 0, 256, 256))
    cut.save(tmp_path / "half.png")
    assert "is cut by the picture's border" in program.refused("animate", tmp_path / "half.png", voice)


def test_face_that_does_not_exist(program, portrait, voice):
    message = program.refused("animate", portrait, voice, "--face", "7")
    assert "There is no face 7 in the picture, only 1 face (1 at" in message
    message = program.refused("animate", portrait, voice, "--face", "5000,10,100,100")
    assert "is outside the picture of 256 x 256 px" in message


def test_empty_folders(program, portrait, voice, tmp_path):
    (tmp_path / "empty").mkdir()
    assert "contains no pictures" in program.refused("animate", tmp_path / "empty", voice)
    assert "contains no audio files or videos" in program.refused("animate", portrait, tmp_path / "empty")


def test_one_file_for_several_videos(program, portrait, voice):
    assert "is one file, but several videos" in program.refused("animate", portrait, portrait, voice, "-o", "a.mp4")


@pytest.mark.parametrize(
    ("output", "message"),
    [
        ("video.avi", "does not end in .mp4"),
        ("voice.wav/video.mp4", "Not a directory"),
        ("portrait.mp4", "is also an input"),
    ],
)
def test_invalid_output(program, portrait, voice, output, message):
    if output == "portrait.mp4":
        portrait = portrait.rename(portrait.with_suffix(".mp4"))
    assert message in program.refused("animate", portrait, voice, "-o", output)


@LINUX
def test_output_in_a_read_only_folder(program, portrait, voice):
    place = "/proc/self/video.mp4"
    assert f"{place} cannot be written" in program.refused("animate", portrait, voice, "-o", place)


@LINUX
def test_full_disk(program, portrait, voice, monkeypatch):
    """The output is written to a device that is always full."""
    monkeypatch.setattr("sadtalker_ext.video.write.file_argument", lambda _: "file:/dev/full")
    assert "is full" in program.refused("animate", portrait, voice, "-o", "video.mp4")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["portrait.png", "voice.wav", "--idle", "3"], "no voice; omit voice.wav"),
        (["portrait.png", "--idle", "0.1"], "choose 0.2 s to 7200 s"),
        (["portrait.png"], "A portrait and a voice are needed"),
        (["portrait.png", "--idle", "3", "--reference", "no.mp4"], "The reference no.mp4 does not exist"),
        (["portrait.png", "--idle", "3", "--reference", "voice.wav"], "The engine starter cannot copy eyes+pose"),
        (["portrait.png", "voice.wav", "--reference-use", "pose"], "no reference video to copy pose from"),
        (["portrait.png", "voice.wav", "--reference", "a.mp4", "--reference-use", "nose"], "accepts one of eyes, pose"),
        (["portrait.png", "voice.wav", "--paste", "seamless"], "The engine starter does not support the setting paste"),
    ],
)
def test_invalid_idle_clips_and_references(program, portrait, voice, arguments, message):
    assert message in program.refused("animate", *arguments)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--expression-scale", "9"], "accepts a number from 0 to 2"),
        (["--yaw", "-99"], "-60 to 60 degrees"),
        (["--yaw", "left"], "-60 to 60 degrees"),
        (["--seed", "-1"], "0 to 4294967295"),
        (["--face", "nose"], "largest, a number from 1, or a box"),
        (["--engine", "other"], "no engine 'other'; choose starter"),
        (["--pose-style", "angry"], "no pose style 'angry'; choose one of: 0"),
        (["--restore", "GFPGAN"], "no face restorer named 'GFPGAN' (none is available)"),
        (["--settings-from", "missing.mp4"], "missing.mp4 does not exist"),
        (["--settings-from", "missing.json"], "missing.json cannot be read"),
        (["--settings-from", "voice.wav"], "contains no settings"),
    ],
)
def test_invalid_settings(program, portrait, voice, flags, message):
    assert message in program.refused("animate", portrait, voice, *flags)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["animate", "", "voice.wav"], "The argument after animate is empty; give the name of a file or folder"),
        (["animate", "portrait.png", "voice.wav", "-o", ""], "The argument after -o is empty"),
        (["animate", "portrait.png", "voice.wav", "--reference", ""], "The argument after --reference is empty"),
        (["faces", ""], "The argument after faces is empty"),
        (["demo", "--sheet", "sheet.xyz"], "The picture sheet.xyz has an unknown suffix; use a name like sheet.png"),
        (["demo", "--sheet", "voice.wav/sheet.png"], "sheet.png cannot be written (Not a directory)"),
        (["animate", "portrait.png", "voice.wav", "--settings-from", "bad.json"], "In the settings file bad.json: "),
    ],
)
def test_wrong_names_are_found_before_the_work_begins(program, portrait, voice, monkeypatch, arguments, message):
    """An empty name, of a variable that is not set for example, does not stand for the current folder."""
    monkeypatch.setattr("sadtalker_ext.pipeline.animate.animate", lambda *_: pytest.fail("the work began"))
    (program.folder / "bad.json").write_text("{")
    assert message in program.refused(*arguments)


@pytest.mark.parametrize("number", ["0", "-3", "1.5", "9" * 50])
def test_interval_of_a_contact_sheet_is_a_positive_number(capsys, number):
    with pytest.raises(SystemExit, match="2"):
        main(["demo", "--sheet", "sheet.png", "--sheet-every", number])
    assert "is not a whole number from 1" in capsys.readouterr().err


def test_show_and_faces_refuse_invalid_files(program, voice, noise):
    assert "contains no settings" in program.refused("show", voice)
    assert "does not exist" in program.refused("show", "missing.mp4")
    assert "does not exist" in program.refused("faces", "missing.png")
    assert Path("noise.png").exists()


def test_bench_lists_the_measurements(program):
    assert "choose from first-frame, speed-512" in program.refused("bench", "colour")


def test_errors_are_printed_as_json(program, portrait, voice):
    import json

    assert program("animate", portrait, voice, "--seed", "x", "--json") == 2
    error = json.loads(program.out)
    assert error["kind"] == "SettingsError"
    assert f"sadtalker: {error['error']}\n" == program.err


LONG = "9" * 5000


@pytest.mark.parametrize(
    "arguments",
    [["serve", "--port", LONG], ["faces", "a.png", "--unknown", LONG], ["faces", "x" * 5000],
     ["train", "check", "data", "--sample", LONG[:4000]], ["animate", "a.png", "a.wav", "--yaw", f"0:{LONG}"],
     ["animate", "a.png", "--threads", "-1"], ["animate", "a.png", "a.wav", "--frame-rate", LONG],
     *(["animate", "a.png", "a.wav", "--frame-rate", rate] for rate in ("-25", "NaN", "inf", "1e9"))],
)  # fmt: skip
def test_messages_are_one_short_sentence(arguments, capsys):
    try:
        code = main(arguments)
    except SystemExit as error:
        code = error.code
    message = capsys.readouterr().err
    assert code == 2
    assert len(message.splitlines()) == 1
    assert len(message) < 500


CORPUS = ["train", "corpus", "--out", "run", "--recordings"]


@pytest.mark.parametrize(
    ("command", "empty"),
    [
        *((["train", name, "--out", "run", "--data"], message) for name, message in (
            ("mouth_cover", "There are no pictures"), ("voice_detector", "No sound files"),
            ("lip_motion", "There are no videos"), ("speech_to_expression", "has no features"),
            ("exp_net", "has no card.json"), ("pose_vae", "has no card.json"), ("renderer", "has no card.json"),
            ("all", "has no card.json"),
        )),
        (CORPUS, "has no recordings"),
        (["train", "all", "--out", "run", "--portraits"], "There are no pictures"),
        (["train", "practice", "-o", "run", "--portraits"], "There are no pictures"),
        (["train", "all", "--out", "run", "--speech"], "There are no audio files"),
        (["train", "practice", "-o", "run", "--speech"], "There are no audio files"),
        (["train", "export", "-o", "run"], "has no finished exp_net"),
    ],
    ids=lambda value: "-".join(value[1::3]) if isinstance(value, list) else "",
)  # fmt: skip
def test_training_names_folders_that_are_files_missing_or_empty(program, tmp_path, command, empty):
    (tmp_path / "text.txt").write_text("hello")
    (tmp_path / "empty").mkdir()
    text = "cannot be read" if "--speech" in command else "is not a folder"  # one audio file may be given as well
    for given, problem in (("text.txt", text), ("missing", "does not exist"), ("empty", empty)):
        message = program.refused(*command, tmp_path / given)
        assert problem in message
        assert given in message
    assert not (tmp_path / "run").exists(), "the same command with the right folder starts"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "all", "--out", "r", "--learning-rate", "nan"], "--learning-rate is nan"),
        (["train", "corpus", "--out", "c", "--hours", "inf"], "--hours is inf"),
        (["train", "practice", "-o", "p", "--seconds", "nan"], "--seconds is nan"),
        (["train", "prepare", "v", "-o", "p", "--shortest", "-1"], "--shortest is -1.0"),
    ],
)
def test_training_refuses_numbers_that_are_not_positive_and_finite(program, arguments, message):
    assert message in program.refused(*arguments)
