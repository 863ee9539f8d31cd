"""Text to speech on the command line."""

import io
import json
import sys

from sadtalker_ext.video.read import probe


def test_texts_are_read_aloud(program, portrait, tmp_path, monkeypatch):
    (tmp_path / "text.txt").write_bytes("\ufeffGrüße, Bob!".encode())
    assert program("animate", portrait, "--say-file", "text.txt", "--tts-voice", "de", "--still", "-o", "a.mp4") == 0
    assert "text [############################] 1/1\n" in program.err
    assert probe(tmp_path / "a.mp4").has_audio
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"Hello Bob")))
    assert program("animate", portrait, "--say-file", "-", "--tts-voice", "en-us", "--quiet", "--json") == 0
    assert json.loads(program.out)["path"].endswith("portrait_Hello_Bob.mp4")


def test_wrong_texts_are_one_sentence(program, portrait, voice, tmp_path):
    (tmp_path / "latin.txt").write_bytes("Grüße".encode("latin-1"))
    for flags, sentence in (
        (["--say-file", "latin.txt"], "The text file latin.txt is not UTF-8 text; save it as UTF-8"),
        (["--say-file", "none.txt"], "none.txt"),
        (["--say-file", str(tmp_path)], "text file"),
        (["--say", "?!"], "has no words"),
        (["--say", "hello", "--tts-voice", "klingon"], "no voice named 'klingon'"),
        (["--say", "hello", "--idle", "3"], "give only one of the three"),
        ([str(voice), "--say", "hello"], "and no voice; omit"),
    ):
        assert program("animate", portrait, *flags, "--quiet") == 2
        assert sentence in program.err
        assert len(program.err.splitlines()) == 1
    assert not (tmp_path / "outputs").exists()


def test_voices_are_listed(program, tmp_path):
    assert program("voices", "de") == 0
    assert program.out.split()[:3] == ["de", "de", "espeak-ng,"]
    (tmp_path / "mine.onnx").touch()
    (tmp_path / "mine.onnx.json").write_text("{}")
    assert program("voices", "--json", "--folder", tmp_path) == 0
    assert json.loads(program.out)[0] == {"name": "mine", "language": "", "provider": "Piper", "label": "neural"}
    assert program("voices", "xx") == 0
    assert program.out == "No voice has a language that starts with xx\n"
