"""3D models of the REST API: made on request, fetched, private to their owner, and removed with the job."""

import io
import json
import wave

import pytest
from rest_requests import JOBS, as_base64

pygltflib = pytest.importorskip("pygltflib", reason="pygltflib is not installed")


def test_model_and_sound_of_a_job(serve, portrait_file, voice_file):
    service = serve()
    job = service.upload(portrait_file, voice_file, settings=json.dumps({"model_3d": True})).json()["id"]
    view = service.wait(job)
    assert (view["state"], view["model"], view["settings"]["model_3d"]) == ("done", True, True)
    assert str(service.scratch) not in json.dumps(view)
    response = service.client.get(f"{JOBS}/{job}/model")
    assert response.headers["content-type"] == "model/gltf-binary"
    assert f'filename="sadtalker_{job[:8]}.glb"' in response.headers["content-disposition"]
    document = pygltflib.GLTF2.load_from_bytes(response.content)
    assert document.animations[0].name == "Speech"
    part = service.client.get(f"{JOBS}/{job}/model", headers={"Range": "bytes=0-3"})
    assert (part.status_code, part.content) == (206, b"glTF")
    sound = service.client.get(f"{JOBS}/{job}/model/sound")
    with wave.open(io.BytesIO(sound.content)) as file:
        assert file.getnframes() == round(0.4 * file.getframerate())
    service.client.delete(f"{JOBS}/{job}")
    assert service.temporary_files() == []


def test_jobs_without_a_model_say_so(serve, portrait_file, voice_file):
    service = serve()
    job = service.upload(portrait_file, voice_file).json()["id"]
    assert service.wait(job)["model"] is False
    response = service.client.get(f"{JOBS}/{job}/model")
    assert response.status_code == 404
    assert "model_3d" in response.json()["detail"]


def test_model_of_a_silent_clip_has_no_sound(serve, portrait_file):
    service = serve()
    body = {"portrait": as_base64(portrait_file), "idle_s": 0.4, "settings": {"model_3d": True}}
    job = service.client.post(JOBS, json=body).json()["id"]
    assert service.wait(job)["state"] == "done"
    assert service.client.get(f"{JOBS}/{job}/model").status_code == 200
    assert service.client.get(f"{JOBS}/{job}/model/sound").status_code == 404
