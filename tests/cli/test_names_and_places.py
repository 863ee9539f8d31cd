"""Names of inputs and outputs, and folders that cannot be written to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sadtalker_ext.errors import MediaError

FLAGS = ("--quiet", "--resolution-limit", "256")


def videos(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.mp4") if path.is_file())


@pytest.mark.parametrize("output", ["new/", "new/folder/", "./new//", "a.mp4/"])
def test_new_folder_for_one_video(program, portrait, make_voice, output):
    voice = make_voice("v.wav", 0.3)
    assert program("animate", portrait, voice, "-o", output, *FLAGS) == 0
    assert videos(program.folder) == [f"{os.path.normpath(output)}/{portrait.stem}_v.mp4"]


@pytest.mark.parametrize("given", ["dir.mp4", "new/"])
@pytest.mark.parametrize(
    ("command", "name"), [("animate", "{pair}.mp4"), ("demo", "demo.mp4"), ("mesh", "{pair}.glb")]
)
def test_every_command_writes_into_output_folders(program, portrait, voice, monkeypatch, *, command, name, given):
    outputs = []

    def make(*arguments):
        outputs.extend(getattr(argument, "glb", argument) for argument in arguments)
        raise MediaError("stopped by the test")

    for place in ("animate.make_video", "animate.animate", "animate_mesh.make_mesh"):
        monkeypatch.setattr(f"sadtalker_ext.pipeline.{place}", make)
    folder, pair = program.folder / given, f"{portrait.stem}_{voice.stem}"
    files = [] if command == "demo" else [portrait, voice]
    (program.folder / "dir.mp4").mkdir()
    assert program(command, *files, "-o", given, "--quiet") == 2
    assert Path(given) / name.format(pair=pair) in outputs
    folder.mkdir(exist_ok=True)
    (folder / name.format(pair=pair)).touch()
    assert program(command, *files, "-o", given, "--quiet") == 2
    assert Path(given) / name.format(pair=pair).replace(".", "_2.") in outputs, "no result is replaced"


def test_name_without_suffix_may_be_a_file_or_a_folder(program, portrait, voice):
    message = program.refused("animate", portrait, voice, "-o", "results")
    assert message.endswith("results does not end in .mp4: name it results.mp4, or results/ for a folder")


def test_folder_in_place_of_a_file(program, portrait, voice):
    message = program.refused("animate", portrait, voice, "-o", f"{voice.name}/")
    assert "Not a directory" in message or "File exists" in message


@pytest.mark.parametrize("arguments", [["-me.png", "v.wav"], ["p.png", "-me.wav"], ["p.png", "v.wav", "-o", "-me.mp4"]])
def test_names_that_start_with_a_dash(program, capsys, arguments):
    with pytest.raises(SystemExit) as caught:
        program("animate", *arguments)
    assert caught.value.code == 2
    name = next(word for word in arguments if word.startswith("-me"))
    last = capsys.readouterr().err.splitlines()[-1]
    assert f"write ./{name}, or put -- before the names" in last


def test_names_after_two_dashes(program, portrait, make_voice):
    portrait.rename("-me.png")
    make_voice("-v.wav", 0.3)
    assert program("animate", "-o", "a.mp4", *FLAGS, "--", "-me.png", "-v.wav") == 0
    assert videos(program.folder) == ["a.mp4"]
    assert program("animate", "./-me.png", "./-v.wav", "-o", "./-b.mp4", *FLAGS) == 0


@pytest.mark.parametrize("flag", ["-x", "--no-such", "-o"])
def test_unknown_options_get_no_hint(program, capsys, flag):
    with pytest.raises(SystemExit):
        program("animate", "p.png", "v.wav", flag)
    assert "dash" not in capsys.readouterr().err


def test_output_names_are_counted_in_bytes(program, portrait, voice):
    """84 CJK characters take 252 bytes; with .mp4 that is more than the 255 of a file system."""
    message = program.refused("animate", portrait, voice, "-o", "\u4e2d" * 84 + ".mp4")
    assert "too long (256 bytes" in message


def test_full_disk_is_refused_before_the_work(program, portrait, voice, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(total=10**9, free=4096))
    message = program.refused("animate", portrait, voice, "-o", "new/a.mp4")
    assert message == "The disk of the output new/a.mp4 is full: free some space or choose another folder"
    assert not (program.folder / "new").exists()


@pytest.fixture
def mounted(program):
    """Mount a file system with the given options in the folder of the test; needs the right to do so."""
    place = program.folder / "disk"
    place.mkdir()

    def mount(options):
        if sys.platform != "linux" or os.geteuid() != 0:
            pytest.skip("needs the right to mount a file system")
        command = ["mount", "-t", "tmpfs", "-o", options, "none", str(place)]
        if subprocess.run(command, check=False, capture_output=True).returncode != 0:
            pytest.skip("may not mount a file system")
        return place

    yield mount
    subprocess.run(["umount", str(place)], check=False, capture_output=True)


def test_read_only_disk(program, portrait, voice, mounted):
    mounted("size=9m,ro")
    for output in ("disk/a.mp4", "disk/new/a.mp4", "disk/"):
        assert "Read-only file system" in program.refused("animate", portrait, voice, "-o", output)


def test_disk_that_becomes_full_keeps_nothing(program, portrait, make_voice, mounted, monkeypatch):
    monkeypatch.setattr("sadtalker_ext.pipeline.output.MIN_FREE_BYTES", 0)
    place = mounted("size=120k")
    (place / "filler").write_bytes(bytes(100_000))
    voice = make_voice("v.wav", 1.0)
    message = program.refused("animate", portrait, voice, "-o", "disk/new/a.mp4", "--quality", "best")
    assert "is full" in message
    assert sorted(path.name for path in place.rglob("*")) == ["filler"]


def test_another_disk(program, portrait, make_voice, mounted):
    place = mounted("size=9m")
    assert program("animate", portrait, make_voice("v.wav", 0.3), "-o", "disk/new/", *FLAGS) == 0
    assert sorted(path.name for path in place.rglob("*")) == ["new", f"{portrait.stem}_v.mp4"]
