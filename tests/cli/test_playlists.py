"""Playlists and stream descriptions are refused on the command line, and nothing is read or written."""

import os

import pytest


def test_playlist_as_voice(program, portrait, playlist):
    message = program.refused("animate", portrait, playlist("innocent.wav"))
    assert "innocent.wav is not an audio, picture or video file: playlists, stream descriptions" in message


def test_playlist_as_portrait(program, voice, playlist):
    message = program.refused("animate", playlist("innocent.png"), voice)
    assert "innocent.png is a text file, not a picture or video that can be read; playlists and stream" in message
    assert "innocent.mp4 is a text file, not a picture" in program.refused("faces", playlist("innocent.mp4"))


def test_playlist_as_settings_file(program, portrait, voice, playlist):
    message = program.refused("animate", portrait, voice, "--settings-from", playlist("innocent.mp4"))
    assert "innocent.mp4 is not an audio, picture or video file" in message
    assert "is not an audio, picture or video file" in program.refused("show", playlist("innocent.mp4"))


@pytest.mark.skipif(os.name == "nt", reason="needs special files")
@pytest.mark.parametrize("kind", ["fifo", "/dev/zero", "/dev/stdin"])
def test_special_files(program, portrait, voice, tmp_path, kind):
    path = tmp_path / "pipe"
    if kind == "fifo":
        os.mkfifo(path)
    path = path if kind == "fifo" else kind
    for arguments in ((portrait, path), (path, voice), (portrait, voice, "--reference", path)):
        assert f"{path} is not a regular file" in program.refused("animate", *arguments)
