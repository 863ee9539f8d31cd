"""The REST API end to end: real uploads, real videos, and errors with a message."""

import base64
import json
import time
import wave

import jsonschema
import pytest

from sadtalker_ext.errors import MediaError
from sadtalker_ext.pipeline.job import Limits
from sadtalker_ext.pipeline.result_metadata import read_record
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.read import probe

JOBS = "/sadtalker/v1/jobs"
MORE_FRAMES = 300
"""Most frames that are finished between a look at a job and its end after a request to stop it."""


def as_base64(path):
    return {"base64": base64.b64encode(path.read_bytes()).decode()}


def detail(response, code):
    """Return the error message of a response, after checking its status code."""
    assert response.status_code == code, response.text
    message = response.json()["detail"]
    assert isinstance(message, str)
    assert "Traceback" not in message
    assert "\n" not in message
    return message


def test_upload_is_made_into_a_video_with_its_settings(serve, portrait_file, voice_file, tmp_path):
    service = serve()
    response = service.upload(portrait_file, voice_file, settings=json.dumps({"still": True, "seed": 7}))
    assert response.status_code == 202
    view = service.wait(response.json()["id"])
    assert (view["state"], view["frames_done"], view["frames_total"], view["error"]) == ("done", 10, 10, "")
    video = tmp_path / "video.mp4"
    video.write_bytes(service.client.get(f"{JOBS}/{view['id']}/video").content)
    assert read_record(video).settings == Settings(still=True, seed=7)
    assert probe(video).width_px == 192
    assert "path" not in view["result"]


def test_base64_gives_the_same_pixels_as_an_upload(serve, portrait_file, voice_file):
    service = serve()
    first = service.upload(portrait_file, voice_file).json()["id"]
    body = {"portrait": as_base64(portrait_file), "voice": as_base64(voice_file), "settings": {}}
    second = service.client.post(JOBS, json=body).json()["id"]
    videos = []
    for job in (first, second):
        assert service.wait(job)["state"] == "done"
        videos.append(service.client.get(f"{JOBS}/{job}/video").content)
    assert videos[0] == videos[1]


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


def test_no_temporary_file_remains(serve, portrait_file, voice_file, make_voice):
    service = serve()
    done = service.upload(portrait_file, voice_file).json()["id"]
    service.wait(done)
    stopped = service.upload(portrait_file, make_voice(60)).json()["id"]
    service.client.delete(f"{JOBS}/{stopped}")
    assert service.wait(stopped)["state"] == "stopped"
    assert len(service.temporary_files()) == 1
    service.client.delete(f"{JOBS}/{done}")
    assert service.temporary_files() == []
    assert service.client.get(f"{JOBS}/{done}").status_code == 404


def test_running_job_stops_at_once_and_the_next_one_runs(serve, portrait_file, voice_file, make_voice):
    service = serve()
    job = service.upload(portrait_file, make_voice(120)).json()["id"]
    until_s = time.monotonic() + 180
    while service.client.get(f"{JOBS}/{job}").json()["frames_done"] < 3:
        assert time.monotonic() < until_s
        time.sleep(0.02)
    view = service.client.get(f"{JOBS}/{job}").json()
    assert (view["state"], view["stage"], view["frames_total"]) == ("running", "frames", 3000)
    assert view["left_s"] > 0
    service.client.delete(f"{JOBS}/{job}")
    stopped = service.wait(job)
    assert stopped["state"] == "stopped"
    assert stopped["frames_done"] < view["frames_done"] + MORE_FRAMES
    assert str(service.client.get(f"{JOBS}/{job}/video").status_code) == "409"
    assert service.wait(service.upload(portrait_file, voice_file).json()["id"])["state"] == "done"


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
        ({"portrait": {"path": 3}}, 422, "a string named base64, path or url"),
        ({"portrait": {"ftp": "x"}}, 422, "not 'ftp'"),
        ({"voice": {"url": "http://example.com/a.wav"}}, 403, "does not download files"),
        ({"colour": 1}, 422, "There is no field 'colour'"),
        ({"idle_s": 3}, 422, "omit voice or idle_s"),
        ({"voice": None}, 422, "The length of the video is unknown"),
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


def test_invalid_bodies_are_refused(serve):
    post = serve(upload_bytes=1000).client.post
    assert "JSON" in detail(post(JOBS, content=b"{", headers={"content-type": "application/json"}), 400)
    assert "object" in detail(post(JOBS, json=[1]), 400)
    assert "multipart" in detail(post(JOBS, content=b"x", headers={"content-type": "text/plain"}), 415)
    assert "larger" in detail(post(JOBS, json={"portrait": "x" * 1000}), 413)
    assert "Content-Length" in detail(post(JOBS, content=iter([b"{}"])), 411)


def test_portrait_that_is_not_a_picture_fails(serve, voice_file):
    service = serve()
    view = service.wait(service.upload(voice_file, voice_file).json()["id"])
    assert view["state"] == "failed"
    assert "not a picture" in view["error"]
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
    message = error(service.upload(text, silent))
    assert message.startswith("The portrait notes.txt is a text file, not a picture")
    message = error(service.upload(portrait_file, text))
    assert message.startswith("The voice notes.txt cannot be read")
    assert str(service.scratch) not in message


def test_portrait_without_a_voice_makes_an_idle_clip(serve, portrait_file, tmp_path):
    service = serve()
    body = {"portrait": as_base64(portrait_file), "idle_s": 0.4}
    view = service.wait(service.client.post(JOBS, json=body).json()["id"])
    assert (view["state"], view["error"], view["result"]["frames"]) == ("done", "", 10)
    with open(portrait_file, "rb") as picture:
        form = service.client.post(JOBS, files={"portrait": picture}, data={"idle_s": "0.8", "voice": ""})
    view = service.wait(form.json()["id"])
    assert (view["state"], view["error"], view["result"]["frames"]) == ("done", "", 20)
    video = tmp_path / "video.mp4"
    video.write_bytes(service.client.get(f"{JOBS}/{view['id']}/video").content)
    assert not probe(video).audio


@pytest.mark.parametrize("use", ["", "pose"])
def test_reference_and_its_use_reach_the_pipeline(serve, portrait_file, voice_file, monkeypatch, use):
    received = []

    def make_video(inputs, *_, engine):
        received.append((inputs.use, inputs.reference.read_bytes()))
        raise MediaError("stop here")

    monkeypatch.setattr("sadtalker_ext.pipeline.animate.make_video", make_video)
    service = serve(folders=(portrait_file.parent,))
    fields = {"reference_use": use, "idle_s": 1}
    for source in (as_base64(portrait_file), {"path": str(portrait_file)}):
        body = {"portrait": as_base64(portrait_file), "reference": source, **fields}
        assert "stop here" in service.wait(service.client.post(JOBS, json=body).json()["id"])["error"]
    with open(portrait_file, "rb") as picture, open(voice_file, "rb") as audio, open(portrait_file, "rb") as video:
        files = {"portrait": picture, "voice": audio, "reference": video}
        job = service.client.post(JOBS, files=files, data={"reference_use": use}).json()
    service.wait(job["id"])
    assert received == 3 * [(use or "eyes+pose", portrait_file.read_bytes())]
    assert service.temporary_files() == []


def test_engine_without_reference_support_refuses_a_reference(serve, portrait_file):
    body = {"portrait": as_base64(portrait_file), "reference": as_base64(portrait_file), "idle_s": 1}
    service = serve()
    view = service.wait(service.client.post(JOBS, json=body | {"settings": {"engine": "starter"}}).json()["id"])
    assert view["state"] == "failed"
    assert "cannot copy eyes+pose from the reference" in view["error"]


def test_limits(serve, portrait_file, voice_file, make_voice):
    service = serve(limits=Limits(waiting=1, voice_s=1.0))
    long_voice = make_voice(3)
    job = service.upload(portrait_file, long_voice).json()
    assert "longer than the allowed 1 s" in service.wait(job["id"])["error"]
    idle = {"portrait": as_base64(portrait_file), "idle_s": 3}
    assert "longer than the allowed 1 s" in service.wait(service.client.post(JOBS, json=idle).json()["id"])["error"]
    service = serve(limits=Limits(waiting=0))
    response = service.upload(portrait_file, voice_file)
    assert "waiting" in detail(response, 503)
    assert response.headers["retry-after"]
    service = serve(limits=Limits(job_s=0.0))
    job = service.upload(portrait_file, voice_file).json()
    assert "longer than the allowed 0 s" in service.wait(job["id"])["error"]
    assert service.temporary_files() == []


def test_logins(serve):
    service = serve(logins={"me": "secret", "you": "other"})
    for credentials, code in ((None, 401), (("me", "wrong"), 401), (("she", ""), 401), (("me", "secret"), 200)):
        assert service.client.get("/sadtalker/v1/health", auth=credentials).status_code == code
    broken = {"Authorization": "Basic ???"}
    assert service.client.get("/sadtalker/v1/engines", headers=broken).status_code == 401
    assert service.client.post(JOBS, json={}).status_code == 401


def test_engines_schema_and_health(serve, tmp_path):
    service = serve(checkpoints=(tmp_path,))
    starter, official = service.client.get("/sadtalker/v1/engines").json()
    assert (starter["name"], starter["ready"]) == ("starter", True)
    assert (official["name"], official["ready"]) == ("sadtalker", False)
    assert "3 of 3 checkpoints are missing" in official["words"]
    assert {file["problem"] for file in official["checkpoints"]} == {"missing"}
    schema = service.client.get("/sadtalker/v1/settings/schema").json()
    jsonschema.validate(Settings().to_mapping(), schema)
    assert service.client.get("/sadtalker/v1/health").json()["status"] == "ok"


def test_openapi_describes_the_body_of_a_job(serve):
    paths = serve().client.get("/openapi.json").json()["paths"]
    post = paths[JOBS]["post"]
    kinds = post["requestBody"]["content"]
    assert set(kinds) == {"application/json", "multipart/form-data"}
    for kind in kinds.values():
        schema = {**kind["schema"], "additionalProperties": False}
        file = {"path": "x"} if kind is kinds["application/json"] else "x"
        files = {"portrait": file, "reference": file}
        jsonschema.validate({**files, "idle_s": 2, "reference_use": "pose"}, schema)
        for wrong in ({}, {"idle_s": 0}, {"idle_s": 2, "voice": file}, {"idle_s": 2, "reference_use": "x"}):
            with pytest.raises(jsonschema.ValidationError):
                jsonschema.validate({**files, **wrong}, schema)
    settings = kinds["application/json"]["schema"]["properties"]["settings"]
    assert settings["properties"]["blink"]["maximum"] == 2.0
    assert {"202", "413", "422", "503"} <= set(post["responses"])
    assert set(paths[JOBS + "/{job_id}"]) == {"get", "delete"}


def test_unknown_jobs_are_not_found(serve):
    client = serve().client
    for call in (client.get, client.delete):
        assert "no job" in detail(call(f"{JOBS}/nothing"), 404)
    assert "no job" in detail(client.get(f"{JOBS}/nothing/video"), 404)


def test_results_can_be_kept_in_a_folder(serve, portrait_file, voice_file, tmp_path):
    folder = tmp_path / "kept"
    service = serve(output=lambda stem: folder / f"{stem}.mp4")
    job = service.upload(portrait_file, voice_file).json()["id"]
    service.wait(job)
    service.client.delete(f"{JOBS}/{job}")
    assert [path.name for path in folder.iterdir()] == ["portrait.mp4"]


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
        response = service.client.post(JOBS, json=given | {part: hostile})
        view = service.wait(response.json()["id"])
        assert view["state"] == "failed"
        assert "playlists" in view["error"]
        assert "\n" not in view["error"]
        assert "secret" not in view["error"]
