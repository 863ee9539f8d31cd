"""The REST API end to end: real uploads, real videos, limits and logins."""

import json
import time

import jsonschema
import pytest
from rest_requests import JOBS, as_base64, detail

from sadtalker_ext.errors import MediaError
from sadtalker_ext.pipeline.job import Limits
from sadtalker_ext.pipeline.result_metadata import read_record
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.read import probe

MORE_FRAMES = 300
"""Most frames that are finished between a look at a job and its end after a request to stop it."""


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
    assert "3 of 3 checkpoints are missing" in official["message"]
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
