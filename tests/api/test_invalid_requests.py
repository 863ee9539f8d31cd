"""The REST API refuses invalid requests and unreadable files with a message."""

import os
import wave
from pathlib import Path

import pytest
from PIL import Image
from rest_requests import JOBS, as_base64, detail

pytest.importorskip("fastapi", reason="fastapi is not installed")
from fastapi import HTTPException

from sadtalker_ext.api.job_requests import receive_file
from sadtalker_ext.api.options import ApiOptions
from sadtalker_ext.settings import Settings


def test_paths_outside_the_allowed_folders_are_refused(serve, portrait_file, voice_file, tmp_path):
    outside = tmp_path / "outside.png"
    outside.write_bytes(portrait_file.read_bytes())
    link = portrait_file.parent / "link.png"
    link.unlink(missing_ok=True)
    link.symlink_to(outside)
    service = serve(folders=(portrait_file.parent, voice_file.parent))
    good = {"portrait": {"path": str(portrait_file)}, "voice": {"path": str(voice_file)}}
    assert service.wait(service.client.post(JOBS, json=good).json()["id"])["state"] == "done"
    for path in (outside, link, portrait_file.parent / ".." / ".." / "x", "/etc/passwd", "portrait.png", "\0"):
        response = service.client.post(JOBS, json=good | {"portrait": {"path": str(path)}})
        assert "not in a folder that this server may read" in detail(response, 403)
    response = service.client.post(JOBS, json=good | {"voice": {"path": str(voice_file.parent / "none.wav")}})
    assert "The voice does not exist" in detail(response, 404)
    assert portrait_file.is_file()
    link.unlink()


@pytest.mark.parametrize(
    ("fields", "code", "message"),
    [
        ({"settings": {"blinks": 1}}, 422, "did you mean blink?"),
        ({"settings": {"blink": 9}}, 422, "a number from 0 to 2"),
        ({"settings": []}, 422, "must be a JSON object"),
        ({"settings": {"engine": "other"}}, 422, "no engine 'other'"),
        ({"settings": {"paste": "seamless"}}, 422, "does not support the setting paste"),
        ({"portrait": "me.png"}, 422, "base64"),
        ({"portrait": {"base64": "%%%"}}, 422, "not valid base64"),
        ({"portrait": {"base64": "aGVsbG8="}}, 422, "The portrait sent as base64 is a text file, not a picture"),
        ({"portrait": {"base64": " "}}, 422, "The portrait is empty (0 bytes)"),
        ({"settings": {"q" * 5000: 1}}, 422, f"no setting named {'q' * 60};"),
        ({"portrait": {"path": 3}}, 422, "a string named base64, path or url"),
        ({"portrait": {"ftp": "x"}}, 422, "not 'ftp'"),
        ({"voice": {"url": "http://example.com/a.wav"}}, 403, "does not download files"),
        ({"colour": 1}, 422, "There is no field 'colour'"),
        ({"idle_s": 3}, 422, "exactly one of voice, text"),
        ({"voice": None}, 422, "exactly one of voice, text"),
        ({"voice": None, "idle_s": "long"}, 422, "a number of seconds, not 'long'"),
        ({"voice": None, "idle_s": True}, 422, "a number of seconds"),
        ({"voice": None, "idle_s": 1e9}, 422, "from 0.2 to 7200 s"),
        ({"voice": None, "idle_s": "nan"}, 422, "from 0.2 to 7200 s"),
        ({"reference_use": "eyes"}, 422, "no reference video to copy eyes from"),
        ({"reference": {"base64": "AAAA"}, "reference_use": "nose"}, 422, "reference use is 'nose'"),
        ({"reference": {"path": "/etc/passwd"}}, 403, "not in a folder that this server may read"),
    ],
)
def test_invalid_fields_are_refused(serve, portrait_file, voice_file, fields, code, message):
    service = serve()
    body = {"portrait": as_base64(portrait_file), "voice": as_base64(voice_file), **fields}
    assert message in detail(service.client.post(JOBS, json=body), code)
    assert service.temporary_files() == []


def test_null_counts_as_omitted_in_every_optional_field(serve, portrait_file):
    client, names = serve().client, ("settings", "text", "voice", "reference", "reference_use")
    response = client.post(JOBS, json={"portrait": as_base64(portrait_file), "idle_s": 0.3, **dict.fromkeys(names)})
    assert response.status_code == 202
    assert response.json()["settings"] == Settings().to_mapping()
    client.delete(f"{JOBS}/{response.json()['id']}")


def test_invalid_bodies_are_refused(serve):
    post = serve(upload_bytes=1000).client.post
    assert "JSON" in detail(post(JOBS, content=b"{", headers={"content-type": "application/json"}), 400)
    assert "object" in detail(post(JOBS, json=[1]), 400)
    assert "multipart" in detail(post(JOBS, content=b"x", headers={"content-type": "text/plain"}), 415)
    assert "larger" in detail(post(JOBS, json={"portrait": "x" * 1000}), 413)
    assert "Content-Length" in detail(post(JOBS, content=iter([b"{}"])), 411)


def test_files_of_another_kind_are_refused_at_once(serve, portrait_file, voice_file, tmp_path):
    """No job is made for a file whose header shows that it cannot be used."""
    service = serve()
    noise, small = tmp_path / "noise.jpg", tmp_path / "small.png"
    noise.write_bytes(b"\xff\xd8" + bytes(range(1, 255)) * 9)
    Image.new("RGB", (40, 90)).save(small)
    for portrait, voice, message in (
        (voice_file, voice_file, "The portrait voice.wav is not a picture or video that can be read"),
        (noise, voice_file, "The portrait noise.jpg is not a picture or video that can be read"),
        (small, voice_file, "The portrait small.png has 40 x 90 px, less than 64 px"),
        (portrait_file, noise, "The voice noise.jpg is not an audio, picture or video file"),
        (portrait_file, portrait_file, "The voice portrait.png has no audio: choose an audio file"),
    ):
        assert message in detail(service.upload(portrait, voice), 422)
    with open(portrait_file, "rb") as picture, open(voice_file, "rb") as audio, open(voice_file, "rb") as sound:
        response = service.client.post(JOBS, files={"portrait": picture, "voice": audio, "reference": sound})
    assert "The reference voice.wav has no video: choose a video of a face" in detail(response, 422)
    assert service.queue.jobs() == []
    assert service.temporary_files() == []


def test_errors_show_the_file_names_of_the_sender(serve, portrait_file, tmp_path):
    service = serve(folders=(tmp_path,))
    silent, text = tmp_path / "my song.wav", tmp_path / "notes.txt"
    with wave.open(str(silent), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000))
    text.write_text("not audio")
    portrait = as_base64(portrait_file)

    def error(response):
        return service.wait(response.json()["id"])["error"]

    message = error(service.upload(portrait_file, silent))
    assert message.startswith("The voice my song.wav is silent")
    assert str(service.scratch) not in message
    message = error(service.client.post(JOBS, json={"portrait": portrait, "voice": as_base64(silent)}))
    assert message.startswith("The voice sent as base64 is silent")
    message = error(service.client.post(JOBS, json={"portrait": portrait, "voice": {"path": str(silent)}}))
    assert message.startswith(f"The voice {silent} is silent")
    message = detail(service.upload(text, silent), 422)
    assert message.startswith("The portrait notes.txt is a text file, not a picture")
    message = detail(service.upload(portrait_file, text), 422)
    assert message.startswith("The voice notes.txt cannot be read")
    assert str(service.scratch) not in message


def test_engine_without_reference_support_refuses_a_reference(serve, portrait_file):
    body = {"portrait": as_base64(portrait_file), "reference": as_base64(portrait_file), "idle_s": 1}
    service = serve()
    view = service.wait(service.client.post(JOBS, json=body | {"settings": {"engine": "starter"}}).json()["id"])
    assert view["state"] == "failed"
    assert "cannot copy eyes+pose from the reference" in view["error"]


@pytest.mark.parametrize(
    ("content", "kind"),
    [(b"%!PS-Adobe-3.0 EPSF\n", "an EPS drawing"), (b"<svg/>", "an SVG drawing"), (b"%PDF-1.7\n", "a PDF document")],
)
def test_documents_are_refused_before_a_job_is_created(serve, voice_file, tmp_path, content, kind):
    service, drawing = serve(), tmp_path / "me.png"
    drawing.write_bytes(content)
    message = detail(service.upload(drawing, voice_file), 422)
    assert message == f"The portrait me.png is {kind}, which cannot be used as a picture: save it as PNG or JPEG"
    body = {"portrait": as_base64(drawing), "voice": as_base64(voice_file)}
    message = detail(service.client.post(JOBS, json=body), 422)
    assert message.startswith(f"The portrait sent as base64 is {kind}")
    assert service.queue.jobs() == []


@pytest.mark.parametrize("part", ["voice", "portrait"])
def test_playlist_reads_no_other_file(serve, portrait_file, voice_file, playlist, part):
    """Neither as base64 nor as a file in an allowed folder; the audio file that it names is outside that folder."""
    path = playlist("innocent.wav" if part == "voice" else "innocent.mp4")
    folder = path.parent / "allowed"
    folder.mkdir()
    (folder / path.name).write_bytes(path.read_bytes().replace(b"private/", b"../private/"))
    path = folder / path.name
    service = serve(folders=(folder,))
    given = {"portrait": as_base64(portrait_file), "voice": as_base64(voice_file)}
    for hostile in (as_base64(path), {"path": str(path)}):
        message = detail(service.client.post(JOBS, json=given | {part: hostile}), 422)
        assert "playlists" in message
        assert "\n" not in message
        assert "secret" not in message


@pytest.mark.parametrize("start", ["\\\\", "//", "/\\", "\\/"])
def test_network_paths_are_refused_before_they_are_resolved(tmp_path, monkeypatch, start):
    """Windows sends the login of the server's user to a machine whose path it resolves."""

    def fail(*_, **__):
        raise AssertionError("the path was resolved")

    monkeypatch.setattr(Path, "resolve", fail)
    options = ApiOptions(folders=(tmp_path,))
    with pytest.raises(HTTPException) as caught:
        receive_file("voice", {"path": f"{start}evil.example{start[0]}share{start[0]}a.wav"}, tmp_path / "x", options)
    monkeypatch.undo()
    assert caught.value.status_code == 403
    assert "is not in a folder that this server may read" in caught.value.detail


def test_a_file_that_is_exchanged_after_the_request_is_not_read(tmp_path):
    """Otherwise, a user who may write to an allowed folder could read any file of the server."""
    folder, scratch, secret = tmp_path / "allowed", tmp_path / "scratch", tmp_path / "secret.wav"
    for made in (folder, scratch):
        made.mkdir()
    (folder / "a.wav").write_bytes(b"public")
    secret.write_bytes(b"secret")
    options = ApiOptions(folders=(folder,))
    path, shown = receive_file("voice", {"path": str(folder / "a.wav")}, scratch / "voice", options)
    (folder / "a.wav").unlink()
    (folder / "a.wav").symlink_to(secret)
    assert path.read_bytes() == b"public"
    assert (path.name, shown) == ("a.wav", str(folder / "a.wav"))


def test_large_files_are_not_copied_from_another_disk(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError("another disk")

    monkeypatch.setattr(os, "link", refuse)
    (tmp_path / "a.wav").write_bytes(bytes(2_000_000))
    options = ApiOptions(folders=(tmp_path,), upload_bytes=1_000_000)
    with pytest.raises(HTTPException) as caught:
        receive_file("voice", {"path": str(tmp_path / "a.wav")}, tmp_path / "voice", options)
    assert caught.value.status_code == 413
    assert caught.value.detail.startswith("The voice has 2 MB, and the server may copy 1 MB from another disk")
