"""Text to speech through the REST API."""

import json

import pytest
from rest_requests import JOBS, as_base64, detail

from sadtalker_ext.tts import voices

SETTINGS = {"tts_voice": "en-us", "still": True}


def test_a_text_becomes_a_speaking_video(serve, portrait_file):
    service = serve()
    body = {"portrait": as_base64(portrait_file), "text": "Hello Bob.", "settings": SETTINGS}
    view = service.wait(service.client.post(JOBS, json=body).json()["id"])
    assert (view["state"], view["error"]) == ("done", "")
    assert 0.5 < view["result"]["duration_s"] < 3.0
    form = {"text": "Hello Bob.", "settings": json.dumps(SETTINGS)}
    with portrait_file.open("rb") as file:
        again = service.client.post(JOBS, data=form, files={"portrait": file}).json()["id"]
    assert service.wait(again)["state"] == "done"
    contents = {service.client.get(f"{JOBS}/{job}/video").content for job in (view["id"], again)}
    assert len(contents) == 1


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"text": "a", "idle_s": 2}, "exactly one of voice, text"),
        ({"text": "a", "voice": {"base64": "AAAA"}}, "exactly one of voice, text"),
        ({}, "exactly one of voice, text"),
        ({"text": "..."}, "has no words"),
        ({"text": 5}, "must be a string"),
        ({"text": ["a"]}, "must be a string"),
        ({"text": "word " * 30_000}, "at most 100000 are read"),
    ],
)
def test_invalid_texts_are_refused(serve, portrait_file, fields, message):
    service = serve()
    body = {"portrait": as_base64(portrait_file), **fields}
    assert message in detail(service.client.post(JOBS, json=body), 422)
    assert service.temporary_files() == []


def test_unknown_voices_fail_the_job(serve, portrait_file):
    service = serve()
    for name, sentence in (("klingon", "There is no voice named 'klingon'"), ("../a", "a name without folders")):
        body = {"portrait": as_base64(portrait_file), "text": "Hello", "settings": {"tts_voice": name}}
        view = service.wait(service.client.post(JOBS, json=body).json()["id"])
        assert view["state"] == "failed"
        assert sentence in view["error"]


def test_the_limit_of_the_server_holds_for_texts(serve, portrait_file):
    from sadtalker_ext.pipeline.job import Limits

    service = serve(limits=Limits(voice_s=2.0))
    text = "This sentence takes longer than the two seconds that this server allows for one video."
    body = {"portrait": as_base64(portrait_file), "text": text, "settings": SETTINGS}
    view = service.wait(service.client.post(JOBS, json=body).json()["id"])
    assert view["state"] == "failed"
    assert view["error"] == "The text is longer than the allowed 2 s; use a shorter one"
    assert service.temporary_files() == []


def test_voices_are_listed(serve):
    listed = serve().client.get("/sadtalker/v1/voices").json()
    assert [voice["name"] for voice in listed] == [voice.name for voice in voices.list_voices(())]
    assert set(listed[0]) == {"name", "language", "provider", "label"}
