"""The frame of a video that becomes the portrait."""

import json
import subprocess
from dataclasses import dataclass

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.cli.main import main
from sadtalker_ext.errors import MediaError, SettingsError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.pipeline.portrait import list_faces, read_portrait
from sadtalker_ext.pipeline.portrait_moment import first_face_s, read_portrait_picture
from sadtalker_ext.settings import Settings

LIMIT_PX = 512


@dataclass
class PortraitSettings:
    face: str = "largest"
    at: str = "auto"
    resolution_limit: int = LIMIT_PX


@pytest.fixture(scope="module")
def make_clip(tmp_path_factory, astronaut):
    """Write a video of the astronaut at 10 frames per second, changed by filters of ffmpeg."""
    folder = tmp_path_factory.mktemp("clips")
    Image.fromarray(astronaut).resize((256, 256), Image.Resampling.LANCZOS).save(folder / "a.png")

    def make(name, filters, seconds=3.0):
        source = ["-loop", "1", "-framerate", "10", "-t", str(seconds), "-i", folder / "a.png"]
        command = [ffmpeg_program(), "-v", "error", "-y", *source, "-vf", f"{filters},format=yuv420p", "-crf", "8"]
        subprocess.run([*command, folder / name], check=True)
        return folder / name

    return make


@pytest.fixture(scope="module")
def fading(make_clip):
    """Black for 0.5 s, then a fade of one second."""
    return make_clip("fading.mp4", "fade=in:st=0.5:d=1")


def test_fade_from_black_gives_the_face_after_the_fade(fading, astronaut):
    found_s, has_face = first_face_s(fading)
    assert has_face
    assert 1.3 <= found_s <= 1.7
    prepared = read_portrait(fading, PortraitSettings())
    assert prepared.portrait.picture.mean() == pytest.approx(astronaut.mean(), rel=0.06)
    assert prepared.portrait.landmarks.provider == "face-mesh"
    assert any("the first that shows a face" in note and f"at {found_s:g} s" in note for note in prepared.notes)
    picture, faces = list_faces(fading)
    assert picture.at_s == found_s
    assert len(faces) == 1


def test_face_in_the_first_frame_is_used(make_clip):
    clip = make_clip("steady.mp4", "eq=brightness='0.02*sin(6*t)':eval=frame")
    assert first_face_s(clip) == (0.0, True)
    picture = read_portrait_picture(clip, LIMIT_PX)
    assert picture.at_s == 0
    assert picture.notes == ("The portrait is a video; its first frame is used.",)


def test_title_before_the_face_is_skipped(make_clip):
    clip = make_clip("title.mp4", "drawbox=w=iw:h=ih:color=0x3060A0:t=fill:enable='lt(t,1.15)'")
    found_s, has_face = first_face_s(clip)
    assert has_face
    assert found_s == pytest.approx(1.2, abs=0.1)


def test_without_a_face_dark_frames_are_skipped(make_clip):
    clip = make_clip("no_face.mp4", "crop=64:64:0:180,scale=128:128,fade=in:st=0.4:d=1")
    found_s, has_face = first_face_s(clip)
    assert not has_face
    assert 0.6 <= found_s <= 1.4
    assert "beginning is dark" in read_portrait_picture(clip, LIMIT_PX).notes[0]


@pytest.mark.parametrize("at_s", [0.0, 0.5, 1.25, 2.9, 2.99, 3.0])
def test_chosen_moment(make_clip, at_s):
    """Each frame is 20 levels brighter than 0.5 s before; the last one is used up to the end."""
    clip = make_clip("levels.mp4", "lutrgb=r=0:g=0:b=0,geq=lum='40+4*N':cb=128:cr=128")
    picture = read_portrait_picture(clip, LIMIT_PX, f"{at_s:g}")
    number = (picture.pixels.mean() * 219 / 255 + 16 - 40) / 4
    assert number == pytest.approx(min(29, np.ceil(at_s * 10 - 1e-6)), abs=1)
    assert picture.at_s == at_s
    assert ("first frame" if at_s == 0 else f"frame at {at_s:g} s") in picture.notes[0]


def test_moment_after_the_end_is_refused(fading):
    with pytest.raises(MediaError, match=r"fading\.mp4 lasts 3\.00 s and has no picture at 60 s: choose an earlier"):
        read_portrait_picture(fading, LIMIT_PX, "60")


def test_moment_of_a_picture_is_ignored_with_a_note(tmp_path):
    Image.new("RGB", (100, 100)).save(tmp_path / "a.png")
    picture = read_portrait_picture(tmp_path / "a.png", LIMIT_PX, "3.5")
    assert picture.notes == ("The moment of 3.5 s is not used: the portrait is not a video.",)
    assert read_portrait_picture(tmp_path / "a.png", LIMIT_PX).notes == ()


@pytest.mark.parametrize(
    ("given", "stored"), [("auto", "auto"), ("AUTO ", "auto"), ("", "auto"), (3.5, "3.5"), ("2", "2")]
)
def test_setting(given, stored):
    assert Settings(at=given).at == stored


@pytest.mark.parametrize("given", [-1, "-0.5", "soon", "1:30", float("inf"), True, "9e9", None])
def test_wrong_moments_are_refused(given):
    with pytest.raises(SettingsError, match="The setting at is"):
        Settings(at=given)


def test_command_line_lists_the_faces_of_a_moment(fading, capsys):
    assert main(["faces", str(fading), "--at", "2.5", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["faces"]) == 1
    assert main(["faces", str(fading), "--at", "0.2", "--json"]) == 2
    assert "No face" in capsys.readouterr().err
