"""Every bad input: one clear sentence, exit code 2, and no file is left."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs a device that only Linux has")


@pytest.fixture
def noise(tmp_path):
    path = tmp_path / "noise.png"
    pixels = np.random.default_rng(1).integers(0, 256, (200, 200, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def damaged(path, content):
    path.write_bytes(content)
    return path


def test_missing_files(program, portrait, voice):
    assert "nobody.png does not exist" in program.refused("animate", "nobody.png", voice)
    assert "nothing.wav does not exist" in program.refused("animate", portrait, "nothing.wav")


def test_empty_files(program, portrait, voice, tmp_path):
    empty = damaged(tmp_path / "empty.png", b"")
    assert "empty.png is empty" in program.refused("animate", empty, voice)
    empty = damaged(tmp_path / "empty.wav", b"")
    assert "empty.wav is empty" in program.refused("animate", portrait, empty)


def test_text_named_as_something_else(program, portrait, voice, tmp_path):
    text = damaged(tmp_path / "notes.png", b"These are notes, and no picture.\n" * 20)
    assert "notes.png is no picture" in program.refused("animate", text, voice)
    text = damaged(tmp_path / "notes.mp3", b"These are notes, and no sound.\n" * 20)
    assert "notes.mp3 cannot be read" in program.refused("animate", portrait, text)


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"<svg xmlns='http://www.w3.org/2000/svg'/>", "an SVG drawing"), (b"%PDF-1.7\n", "a PDF document"),
     (b"%!PS-Adobe-3.0 EPSF-3.0\n", "an EPS drawing"), (b"\xd7\xcd\xc6\x9a" + bytes(40), "a Windows metafile (WMF)")],
)  # fmt: skip
def test_drawings_and_documents_named_as_a_picture(program, voice, tmp_path, content, words):
    drawing = damaged(tmp_path / "photo.png", content)
    for line in (("animate", drawing, voice), ("faces", drawing)):
        told = f"photo.png is {words}, which cannot be used as a picture: save it as PNG or JPEG"
        assert told in program.refused(*line)


def test_cut_off_picture(program, portrait, voice, tmp_path):
    cut = damaged(tmp_path / "cut.png", portrait.read_bytes()[:5000])
    assert "cut.png is damaged or incomplete" in program.refused("animate", cut, voice)


def test_video_without_sound_as_voice(program, portrait, voice, tmp_path):
    from sadtalker_ext.video.write import VideoSpec, write_video

    silent = tmp_path / "silent.mp4"
    write_video((np.full((64, 64, 3), 99, np.uint8) for _ in range(10)), silent, VideoSpec(25.0))
    assert "has no sound" in program.refused("animate", portrait, silent)


def test_voice_too_short(program, portrait, make_voice):
    assert "lasts 0.100 s: give at least 0.2 s" in program.refused("animate", portrait, make_voice("short.wav", 0.1))


def test_silent_voice(program, portrait, make_voice):
    assert "is silent" in program.refused("animate", portrait, make_voice("silent.wav", 1.0, loudness=0.0))


def test_picture_too_small_or_too_large(program, voice, tmp_path):
    for side_px, words in ((63, "less than 64 px"), (8193, "more than 8192 px")):
        path = tmp_path / f"{side_px}.png"
        Image.new("L", (side_px, 70)).save(path)
        assert words in program.refused("animate", path, voice)


def test_no_face(program, noise, voice):
    sentence = program.refused("animate", noise, voice)
    assert "No face was found" in sentence
    assert "box around it by hand as face=x,y,width,height" in sentence
    assert "No face was found" in program.refused("faces", noise)


def test_face_too_small(program, portrait, voice, tmp_path):
    canvas = Image.new("RGB", (600, 600), (120, 130, 140))
    canvas.paste(Image.open(portrait).resize((40, 40), Image.LANCZOS), (300, 300))
    canvas.save(tmp_path / "far.png")
    assert "No face was found" in program.refused("animate", tmp_path / "far.png", voice)
    sentence = program.refused("animate", tmp_path / "far.png", voice, "--face", "310,300,12,16")
    assert "310,300,12,16 is too small, at least 24 pixels" in sentence


def test_face_cut_by_the_border(program, portrait, voice, tmp_path):
    cut = Image.open(portrait).crop((112, 0, 256, 256))
    cut.save(tmp_path / "half.png")
    assert "No face was found" in program.refused("animate", tmp_path / "half.png", voice)


def test_face_that_is_not_there(program, portrait, voice):
    sentence = program.refused("animate", portrait, voice, "--face", "7")
    assert "There is no face 7 in the picture, only 1 face (0 at" in sentence
    sentence = program.refused("animate", portrait, voice, "--face", "5000,10,100,100")
    assert "lies outside the picture of 256 x 256 px" in sentence


def test_folders_without_anything(program, portrait, voice, tmp_path):
    (tmp_path / "nothing").mkdir()
    assert "holds no pictures" in program.refused("animate", tmp_path / "nothing", voice)
    assert "holds no sounds" in program.refused("animate", portrait, tmp_path / "nothing")


def test_one_file_for_several_videos(program, portrait, voice):
    assert "is one file, but several videos" in program.refused("animate", portrait, portrait, voice, "-o", "a.mp4")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("video.avi", "does not end in .mp4"),
        ("voice.wav/video.mp4", "Not a directory"),
        ("portrait.mp4", "is an input itself"),
    ],
)
def test_output_that_cannot_be(program, portrait, voice, output, words):
    if output == "portrait.mp4":
        portrait = portrait.rename(portrait.with_suffix(".mp4"))
    assert words in program.refused("animate", portrait, voice, "-o", output)


@LINUX
def test_output_in_a_folder_that_takes_no_files(program, portrait, voice):
    place = "/proc/self/video.mp4"
    assert f"{place} cannot be written" in program.refused("animate", portrait, voice, "-o", place)


@LINUX
def test_full_disk(program, portrait, voice, monkeypatch):
    """The growing file is a device that is always full."""
    monkeypatch.setattr("sadtalker_ext.video.write.file_argument", lambda _: "file:/dev/full")
    assert "is full" in program.refused("animate", portrait, voice, "-o", "video.mp4")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["portrait.png", "voice.wav", "--idle", "3"], "no voice; leave out voice.wav"),
        (["portrait.png", "--idle", "0.1"], "ask for 0.2 s to 7200 s"),
        (["portrait.png"], "A portrait and a voice are needed"),
        (["portrait.png", "--idle", "3", "--reference", "no.mp4"], "The reference no.mp4 does not exist"),
        (["portrait.png", "--idle", "3", "--reference", "voice.wav"], "The engine starter cannot take eyes+pose"),
        (["portrait.png", "voice.wav", "--reference-use", "pose"], "no reference to take pose from"),
        (["portrait.png", "voice.wav", "--reference", "a.mp4", "--reference-use", "nose"], "used for eyes, pose"),
        (["portrait.png", "voice.wav", "--paste", "seamless"], "The engine starter cannot honour paste"),
    ],
)
def test_idle_and_references_that_cannot_be(program, portrait, voice, words, sentence):
    assert sentence in program.refused("animate", *words)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--expression-scale", "9"], "takes a number from 0 to 2"),
        (["--yaw", "-99"], "-60 to 60 degrees"),
        (["--yaw", "left"], "-60 to 60 degrees"),
        (["--seed", "-1"], "0 to 4294967295"),
        (["--face", "nose"], "largest, an index from 0, or a box"),
        (["--engine", "other"], "one of starter"),
        (["--pose-style", "angry"], "no pose style 'angry'; it has 0"),
        (["--restore", "GFPGAN"], "no face restorer named 'GFPGAN'; none is available"),
        (["--settings-from", "nothing.mp4"], "nothing.mp4 does not exist"),
        (["--settings-from", "nothing.json"], "nothing.json cannot be read"),
        (["--settings-from", "voice.wav"], "holds no settings"),
    ],
)
def test_settings_that_cannot_be(program, portrait, voice, flags, words):
    assert words in program.refused("animate", portrait, voice, *flags)


def test_show_and_faces_refuse_other_files(program, voice, noise):
    assert "holds no settings" in program.refused("show", voice)
    assert "does not exist" in program.refused("show", "nothing.mp4")
    assert "does not exist" in program.refused("faces", "nothing.png")
    assert Path("noise.png").exists()


def test_bench_names_what_there_is(program):
    assert "there are first-frame, speed-512" in program.refused("bench", "colour")


def test_refusal_for_machines(program, portrait, voice):
    import json

    assert program("animate", portrait, voice, "--seed", "x", "--json") == 2
    told = json.loads(program.out)
    assert told["kind"] == "SettingsError"
    assert f"sadtalker: {told['error']}\n" == program.err
