"""Playlists and stream descriptions on the command line: one sentence, exit code 2, and nothing is read or made."""

import os

import pytest


def test_as_voice(program, portrait, playlist):
    sentence = program.refused("animate", portrait, playlist("innocent.wav"))
    assert "innocent.wav is no sound, picture or video itself: playlists, stream descriptions" in sentence


def test_as_portrait(program, voice, playlist):
    sentence = program.refused("animate", playlist("innocent.png"), voice)
    assert "innocent.png is no picture or video that can be read; playlists and stream descriptions" in sentence
    assert "innocent.mp4 is no picture" in program.refused("faces", playlist("innocent.mp4"))


def test_as_a_file_with_settings(program, portrait, voice, playlist):
    sentence = program.refused("animate", portrait, voice, "--settings-from", playlist("innocent.mp4"))
    assert "innocent.mp4 is no sound, picture or video itself" in sentence
    assert "is no sound, picture or video itself" in program.refused("show", playlist("innocent.mp4"))


@pytest.mark.skipif(os.name == "nt", reason="needs special files")
@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "/dev/stdin"])
def test_special_files(program, portrait, voice, tmp_path, kind):
    path = tmp_path / "pipe"
    if kind == "fifo":
        os.mkfifo(path)
    path = path if kind == "fifo" else kind
    for words in ((portrait, path), (path, voice), (portrait, voice, "--reference", path)):
        assert f"{path} is no ordinary file" in program.refused("animate", *words)
