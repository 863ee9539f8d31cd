"""Batches: portraits and voices among the inputs, names of results, and failures."""

from pathlib import Path

import pytest

from sadtalker_ext.errors import Cancelled, FaceError, MediaError
from sadtalker_ext.pipeline import batch
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.progress import Watcher
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings


@pytest.fixture
def files(tmp_path):
    for name in ("p/b.PNG", "p/a.jpg", "p/.hidden.jpg", "p/notes.txt", "v/one.wav", "v/two.mp4", "empty/x.txt"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path


def names(paths):
    return [path.name for path in paths]


@pytest.mark.parametrize(
    ("inputs", "portraits", "voices"),
    [
        (["a.png", "b.wav"], ["a.png"], ["b.wav"]),
        (["a.txt", "b"], ["a.txt"], ["b"]),
        (["clip.mp4", "clip2.mp4"], ["clip.mp4"], ["clip2.mp4"]),
        (["a.png", "b.webp", "c.wav"], ["a.png", "b.webp"], ["c.wav"]),
        (["a.png", "b.wav", "c.MP3", "d.mp4"], ["a.png"], ["b.wav", "c.MP3", "d.mp4"]),
        (["a.png", "clip.mp4", "b.wav"], ["a.png", "clip.mp4"], ["b.wav"]),
        (["p", "b.wav"], ["a.jpg", "b.PNG"], ["b.wav"]),
        (["p", "v"], ["a.jpg", "b.PNG"], ["one.wav", "two.mp4"]),
        (["p", "c.png", "v", "z.wav"], ["a.jpg", "b.PNG", "c.png"], ["one.wav", "two.mp4", "z.wav"]),
    ],
)
def test_inputs_are_sorted_into_portraits_and_voices(files, inputs, portraits, voices):
    found = batch.sort_inputs([files / name if (files / name).exists() else Path(name) for name in inputs])
    assert (names(found[0]), names(found[1])) == (portraits, voices)


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["a.png"], "A portrait and a voice are needed"),
        (["a.png", "b.wav", "c.png", "d.wav"], "c.png comes after a voice"),
        (["empty", "b.wav"], "contains no pictures"),
        (["a.png", "empty"], "contains no audio files or videos"),
    ],
)
def test_invalid_inputs_are_refused(files, inputs, message):
    with pytest.raises(MediaError, match=message):
        batch.sort_inputs([files / name if (files / name).exists() else Path(name) for name in inputs])


def test_output_names_are_unique_and_replace_nothing(tmp_path):
    (tmp_path / "a_x.mp4").write_bytes(b"earlier")
    portraits, voices = [Path("1/a.png"), Path("2/a.jpg")], [Path("x.wav"), Path("y" * 300 + ".wav")]
    jobs = batch.plan([Inputs(portrait, voice) for portrait in portraits for voice in voices], tmp_path)
    assert names(job.output for job in jobs) == [
        "a_x_2.mp4", f"a_{'y' * 80}.mp4", "a_x_3.mp4", f"a_{'y' * 80}_2.mp4",
    ]  # fmt: skip
    assert [(job.inputs.portrait.name, job.inputs.voice.name[0]) for job in jobs] == [
        ("a.png", "x"), ("a.png", "y"), ("a.jpg", "x"), ("a.jpg", "y"),
    ]  # fmt: skip


def test_idle_clips_accept_one_portrait_or_a_folder(files, tmp_path):
    assert names(batch.portraits_only([files / "p"], "An idle clip")) == ["a.jpg", "b.PNG"]
    (job,) = batch.plan([Inputs(portrait, idle_s=3) for portrait in [Path("a.png")]], tmp_path)
    assert (job.output.name, job.name) == ("a_idle.mp4", "a.png idle for 3 s")
    with pytest.raises(MediaError, match=r"no voice; omit b\.wav"):
        batch.portraits_only([Path("a.png"), Path("b.wav")], "An idle clip")


@pytest.mark.parametrize(
    ("text", "stem"),
    [("Hello, Bob! How are you?", "Hello_Bob_How_are_you"), ("../../etc/passwd", "etc_passwd"), ("你好。", "你好"),
     ("...", "text"), ("a" * 90, "a" * 40)],
)  # fmt: skip
def test_videos_of_texts_are_named_after_their_first_words(text, stem, tmp_path):
    (job,) = batch.plan([Inputs(Path("a.png"), text=text)], tmp_path)
    assert (job.output.name, job.name) == (f"a_{stem}.mp4", "a.png + text")


def test_batch_continues_after_a_failure_and_stops_when_cancelled(monkeypatch, tmp_path):
    def make_video(inputs, *_, engine):
        portrait = inputs.portrait
        error = {"bad": FaceError("no face"), "stop": Cancelled("stopped"), "bug": ZeroDivisionError()}
        if portrait.stem in error:
            raise error[portrait.stem]
        return portrait.stem

    monkeypatch.setattr(batch, "make_video", make_video)
    jobs = batch.plan([Inputs(Path(f"{name}.png"), Path("v.wav")) for name in ("good", "bad", "fine")], tmp_path)
    outcomes = list(batch.run(jobs, Settings(), Runtime(), Watcher()))
    assert [(outcome.result, str(outcome.error)) for outcome in outcomes] == [
        ("good", "None"), (None, "no face"), ("fine", "None"),
    ]  # fmt: skip
    for name, error in (("stop", Cancelled), ("bug", ZeroDivisionError)):
        jobs = batch.plan([Inputs(Path(f"{name}.png"), Path("v.wav"))], tmp_path)
        with pytest.raises(error):
            list(batch.run(jobs, Settings(), Runtime(), Watcher()))
