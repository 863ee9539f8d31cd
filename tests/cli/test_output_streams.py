"""Standard output that is closed, full, or cannot encode a name; and names that are too long for the file system."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sadtalker_ext.cli.output_streams import checked_output
from sadtalker_ext.pipeline import result_metadata
from sadtalker_ext.pipeline.result_metadata import Record
from sadtalker_ext.settings import Settings

POSIX = pytest.mark.skipif(os.name != "posix", reason="needs pipes and devices of POSIX")
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="needs /dev/full")
HAN = "\N{CJK UNIFIED IDEOGRAPH-6F22}"
LONG = HAN * 86
"""86 characters, 258 bytes in UTF-8."""
SHOW_RECORD = f"""
import sys
from sadtalker_ext.cli.main import entry_point
from sadtalker_ext.pipeline import result_metadata
from sadtalker_ext.settings import Settings
result_metadata.read_record = lambda path: result_metadata.Record(Settings(engine={HAN!r}))
sys.argv = ["sadtalker", *sys.argv[1:]]
entry_point()
"""
"""The program, with a result that needs no video."""


def start(*arguments, encoding="utf-8", buffered=True, **streams):
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUNBUFFERED": "" if buffered else "1"}
    command = [sys.executable, "-c", SHOW_RECORD, *arguments]
    return subprocess.Popen(command, env=environment, **{"stderr": subprocess.PIPE, **streams})


@POSIX
@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("arguments", [("show", "a.mp4"), ("--help",)])
def test_a_closed_pipe_ends_the_program_silently(arguments, buffered):
    reader, writer = os.pipe()
    os.close(reader)
    with start(*arguments, stdout=writer, buffered=buffered) as process:
        os.close(writer)
        assert process.stderr.read() == b""
    assert process.returncode == 141


@LINUX
@pytest.mark.parametrize("buffered", [True, False])
@pytest.mark.parametrize("arguments", [("show", "a.mp4"), ("--help",)])
def test_a_full_device_is_reported(arguments, buffered):
    with Path("/dev/full").open("wb") as full, start(*arguments, stdout=full, buffered=buffered) as process:
        message = process.stderr.read().decode()
    assert message == (
        "sadtalker: The standard output cannot be written (No space left on device); direct it to another place\n"
    )
    assert process.returncode == 2


@LINUX
def test_messages_that_cannot_be_written_are_dropped():
    with Path("/dev/full").open("wb") as full, start("faces", "absent.png", stderr=full) as process:
        pass
    assert process.returncode == 2


@pytest.mark.parametrize(("encoding", "shown"), [("cp1252", rb"--engine=\u6f22"), ("utf-8", HAN.encode())])
def test_text_that_cannot_be_encoded_is_escaped(encoding, shown):
    with start("show", "a.mp4", "--flags", stdout=subprocess.PIPE, encoding=encoding) as process:
        assert shown in process.stdout.read()
        assert process.stderr.read() == b""
    assert process.returncode == 0


def test_undecodable_names_are_escaped(capfd, monkeypatch):
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="strict")
    with stream, monkeypatch.context() as patched:
        patched.setattr(sys, "stdout", stream)
        with checked_output():
            print("a\udcff.mp4")
        assert stream.errors == "strict"
    assert capfd.readouterr().out.strip() == r"a\udcff.mp4"


def test_output_is_unchanged_otherwise(program, monkeypatch):
    monkeypatch.setattr(result_metadata, "read_record", lambda _: Record(Settings(seed=5)))
    assert program("show", "a.mp4", "--flags") == 0
    assert (program.out, program.err) == ("--seed=5\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ("animate", "p.png", "v.wav", "-o", f"{LONG}.mp4"), ("animate", "p.png", "v.wav", "-o", f"new/{LONG}/a.mp4"),
        ("animate", f"{LONG}.png", "v.wav"), ("animate", "p.png", f"{LONG}.wav"),
        ("animate", "p.png", "v.wav", "--folder", LONG), ("animate", "p.png", "v.wav", "--restore", f"{LONG}/a.pth"),
        ("animate", "p.png", "v.wav", "--settings-from", f"{LONG}.json"), ("animate", "p", "v", "-o", "x" * 256),
        ("weights", "make-random", LONG), ("weights", "list", "--folder", f"{LONG}"), ("show", f"{LONG}.mp4"),
        ("serve", "-o", f"{LONG}"), ("faces", f"/{LONG}.png"), ("show", "a/" * 2100 + "a.mp4"),
    ],
    ids=lambda arguments: " ".join(arguments)[:40].replace(HAN, ""),
)  # fmt: skip
def test_names_that_are_too_long_are_refused(program, arguments):
    assert "is too long" in program.refused(*arguments)
