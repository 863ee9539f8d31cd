"""The REST interface, by using it: real uploads, real videos, refusals in one sentence."""

import base64
import json
import time
import wave

import jsonschema
import pytest

from sadtalker_ext.errors import MediaError
from sadtalker_ext.pipeline.jobs import Limits
from sadtalker_ext.pipeline.record import read_record
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.read import probe

JOBS = "/sadtalker/v1/jobs"
MORE_FRAMES = 300
"""Most frames that are finished between a look at a job and its end after a request to stop it."""


def encoded(path):
    return {"base64": base64.b64encode(path.read_bytes()).decode()}


def sentence(answer, code):
    assert answer.status_code == code, answer.text
    words = answer.json()["detail"]
    assert isinstance(words, str)
    assert "Traceback" not in words
    assert "\n" not in words
    return words


def test_an_upload_becomes_a_video_with_its_settings(serve, portrait_file, voice_file, tmp_path):
    service = serve()
    answer = service.upload(portrait_file, voice_file, settings=json.dumps({"still": True, "seed": 7}))
    assert answer.status_code == 202
    view = service.wait(answer.json()["id"])
    assert (view["state"], view["frames_done"], view["frames_total"], view["error"]) == ("done", 10, 10, "")
    film = tmp_path / "film.mp4"
    film.write_bytes(service.client.get(f"{JOBS}/{view['id']}/video").content)
    assert read_record(film).settings == Settings(still=True, seed=7)
    assert probe(film).width_px == 192
    assert "path" not in view["result"]


def test_base64_gives_the_same_pixels_as_an_upload(serve, portrait_file, voice_file):
    service = serve()
    first = service.upload(portrait_file, voice_file).json()["id"]
    body = {"portrait": encoded(portrait_file), "voice": encoded(voice_file), "settings": {}}
    second = service.client.post(JOBS, json=body).json()["id"]
    films = []
    for job in (first, second):
        assert service.wait(job)["state"] == "done"
        films.append(service.client.get(f"{JOBS}/{job}/video").content)
    assert films[0] == films[1]


def test_paths_only_from_allowed_folders(serve, portrait_file, voice_file, tmp_path):
    outside = tmp_path / "outside.png"
    outside.write_bytes(portrait_file.read_bytes())
    link = portrait_file.parent / "link.png"
    link.unlink(missing_ok=True)
    link.symlink_to(outside)
    service = serve(folders=(portrait_file.parent, voice_file.parent))
    good = {"portrait": {"path": str(portrait_file)}, "voice": {"path": str(voice_file)}}
    assert service.wait(service.client.post(JOBS, json=good).json()["id"])["state"] == "done"
    for path in (outside, link, portrait_file.parent / ".." / ".." / "x", "/etc/passwd", "portrait.png", "\0"):
        answer = service.client.post(JOBS, json=good | {"portrait": {"path": str(path)}})
        assert "no folder that this service may read" in sentence(answer, 403)
    answer = service.client.post(JOBS, json=good | {"voice": {"path": str(voice_file.parent / "none.wav")}})
    assert "not there" in sentence(answer, 404)
    assert portrait_file.is_file()
    link.unlink()


def test_nothing_is_left_behind(serve, portrait_file, voice_file, make_buzz):
    service = serve()
    done = service.upload(portrait_file, voice_file).json()["id"]
    service.wait(done)
    stopped = service.upload(portrait_file, make_buzz(60)).json()["id"]
    service.client.delete(f"{JOBS}/{stopped}")
    assert service.wait(stopped)["state"] == "stopped"
    assert len(service.left_behind()) == 1
    service.client.delete(f"{JOBS}/{done}")
    assert service.left_behind() == []
    assert service.client.get(f"{JOBS}/{done}").status_code == 404


def test_a_running_job_stops_at_once_and_the_next_works(serve, portrait_file, voice_file, make_buzz):
    service = serve()
    job = service.upload(portrait_file, make_buzz(120)).json()["id"]
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
    ("fields", "code", "words"),
    [
        ({"settings": {"blinks": 1}}, 422, "did you mean blink?"),
        ({"settings": {"blink": 9}}, 422, "a number from 0 to 2"),
        ({"settings": []}, 422, "must be a JSON object"),
        ({"portrait": "me.png"}, 422, "base64"),
        ({"portrait": {"base64": "%%%"}}, 422, "not base64"),
        ({"portrait": {"path": 3}}, 422, "as text"),
        ({"portrait": {"ftp": "x"}}, 422, "not by 'ftp'"),
        ({"voice": {"url": "http://example.com/a.wav"}}, 403, "not fetched here"),
        ({"colour": 1}, 422, "There is no field 'colour'"),
        ({"idle_s": 3}, 422, "leave out voice or idle_s"),
        ({"voice": None}, 422, "Nothing says how long"),
        ({"voice": None, "idle_s": "long"}, 422, "a number of seconds, not 'long'"),
        ({"voice": None, "idle_s": True}, 422, "a number of seconds"),
        ({"voice": None, "idle_s": 1e9}, 422, "from 0.2 to 7200 s"),
        ({"voice": None, "idle_s": "nan"}, 422, "from 0.2 to 7200 s"),
        ({"reference_use": "eyes"}, 422, "no reference to take eyes from"),
        ({"reference": {"base64": "AAAA"}, "reference_use": "nose"}, 422, "not 'nose'"),
        ({"reference": {"path": "/etc/passwd"}}, 403, "no folder that this service may read"),
    ],
)
def test_refusals_are_sentences(serve, portrait_file, voice_file, fields, code, words):
    service = serve()
    body = {"portrait": encoded(portrait_file), "voice": encoded(voice_file), **fields}
    assert words in sentence(service.client.post(JOBS, json=body), code)
    assert service.left_behind() == []


def test_refusals_of_odd_bodies(serve):
    post = serve(upload_bytes=1000).client.post
    assert "JSON" in sentence(post(JOBS, content=b"{", headers={"content-type": "application/json"}), 400)
    assert "object" in sentence(post(JOBS, json=[1]), 400)
    assert "multipart" in sentence(post(JOBS, content=b"x", headers={"content-type": "text/plain"}), 415)
    assert "larger" in sentence(post(JOBS, json={"portrait": "x" * 1000}), 413)
    assert "Content-Length" in sentence(post(JOBS, content=iter([b"{}"])), 411)


def test_a_file_that_is_no_picture_fails_in_a_sentence(serve, voice_file):
    service = serve()
    view = service.wait(service.upload(voice_file, voice_file).json()["id"])
    assert view["state"] == "failed"
    assert "no picture" in view["error"]
    assert service.left_behind() == []


def test_errors_call_files_as_their_sender_does(serve, portrait_file, tmp_path):
    service = serve(folders=(tmp_path,))
    silent, text = tmp_path / "my song.wav", tmp_path / "notes.txt"
    with wave.open(str(silent), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(bytes(32000))
    text.write_text("no sound")
    portrait = encoded(portrait_file)

    def error(answer):
        return service.wait(answer.json()["id"])["error"]

    told = error(service.upload(portrait_file, silent))
    assert told.startswith("The voice my song.wav is silent")
    assert str(service.scratch) not in told
    told = error(service.client.post(JOBS, json={"portrait": portrait, "voice": encoded(silent)}))
    assert told.startswith("The voice sent as base64 is silent")
    told = error(service.client.post(JOBS, json={"portrait": portrait, "voice": {"path": str(silent)}}))
    assert told.startswith(f"The voice {silent} is silent")
    told = error(service.upload(text, silent))
    assert told.startswith("The portrait notes.txt is no picture")
    told = error(service.upload(portrait_file, text))
    assert told.startswith("The voice notes.txt cannot be read")
    assert str(service.scratch) not in told


def test_a_portrait_without_a_voice_is_idle(serve, portrait_file, tmp_path):
    service = serve()
    body = {"portrait": encoded(portrait_file), "idle_s": 0.4}
    view = service.wait(service.client.post(JOBS, json=body).json()["id"])
    assert (view["state"], view["error"], view["result"]["frames"]) == ("done", "", 10)
    with open(portrait_file, "rb") as picture:
        form = service.client.post(JOBS, files={"portrait": picture}, data={"idle_s": "0.8", "voice": ""})
    view = service.wait(form.json()["id"])
    assert (view["state"], view["error"], view["result"]["frames"]) == ("done", "", 20)
    film = tmp_path / "film.mp4"
    film.write_bytes(service.client.get(f"{JOBS}/{view['id']}/video").content)
    assert not probe(film).sound


@pytest.mark.parametrize("use", ["", "pose"])
def test_a_reference_and_its_use_reach_the_work(serve, portrait_file, voice_file, monkeypatch, use):
    arrived = []

    def make_video(inputs, *_):
        arrived.append((inputs.use, inputs.reference.read_bytes()))
        raise MediaError("as far as this test goes")

    monkeypatch.setattr("sadtalker_ext.pipeline.animate.make_video", make_video)
    service = serve(folders=(portrait_file.parent,))
    fields = {"reference_use": use, "idle_s": 1}
    for way in (encoded(portrait_file), {"path": str(portrait_file)}):
        body = {"portrait": encoded(portrait_file), "reference": way, **fields}
        assert "as far" in service.wait(service.client.post(JOBS, json=body).json()["id"])["error"]
    with open(portrait_file, "rb") as picture, open(voice_file, "rb") as sound, open(portrait_file, "rb") as film:
        files = {"portrait": picture, "voice": sound, "reference": film}
        job = service.client.post(JOBS, files=files, data={"reference_use": use}).json()
    service.wait(job["id"])
    assert arrived == 3 * [(use or "eyes+pose", portrait_file.read_bytes())]
    assert service.left_behind() == []


def test_an_engine_that_takes_no_reference_says_so(serve, portrait_file):
    body = {"portrait": encoded(portrait_file), "reference": encoded(portrait_file), "idle_s": 1}
    service = serve()
    view = service.wait(service.client.post(JOBS, json=body | {"settings": {"engine": "starter"}}).json()["id"])
    assert view["state"] == "failed"
    assert "cannot take eyes+pose from the reference" in view["error"]


def test_limits(serve, portrait_file, voice_file, make_buzz):
    service = serve(limits=Limits(waiting=1, voice_s=1.0))
    long = make_buzz(3)
    assert "longer than the 1 s" in service.wait(service.upload(portrait_file, long).json()["id"])["error"]
    idle = {"portrait": encoded(portrait_file), "idle_s": 3}
    assert "longer than the 1 s" in service.wait(service.client.post(JOBS, json=idle).json()["id"])["error"]
    service = serve(limits=Limits(waiting=0))
    answer = service.upload(portrait_file, voice_file)
    assert "waiting" in sentence(answer, 503)
    assert answer.headers["retry-after"]
    service = serve(limits=Limits(job_s=0.0))
    assert "longer than the 0 s" in service.wait(service.upload(portrait_file, voice_file).json()["id"])["error"]
    assert service.left_behind() == []


def test_passwords(serve):
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


def test_openapi_tells_what_may_be_sent(serve):
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


def test_unknown_jobs(serve):
    client = serve().client
    for call in (client.get, client.delete):
        assert "no job" in sentence(call(f"{JOBS}/nothing"), 404)
    assert "no job" in sentence(client.get(f"{JOBS}/nothing/video"), 404)


def test_results_may_be_kept_in_a_folder(serve, portrait_file, voice_file, tmp_path):
    folder = tmp_path / "kept"
    service = serve(output=lambda stem: folder / f"{stem}.mp4")
    job = service.upload(portrait_file, voice_file).json()["id"]
    service.wait(job)
    service.client.delete(f"{JOBS}/{job}")
    assert [path.name for path in folder.iterdir()] == ["portrait.mp4"]
