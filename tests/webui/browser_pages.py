"""Servers of the page in subprocesses, and a user of the page."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).parents[2]
START_S = 180
WAIT_S = 180
"""Longest wait for anything on a page; long, because the machine may be busy."""


EVENTS = "**/run/predict*"
"""Address of all events of the page."""


class Server:
    """A server of the page in a subprocess."""

    def __init__(self, command, folder, address, environment):
        self.folder, self.address = folder, address
        self._log = (folder / "log.txt").open("w", encoding="utf-8")
        variables = {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(folder / "gradio"), **environment}
        self._process = subprocess.Popen(
            command, stdout=self._log, stderr=self._log, env={**os.environ, **variables}, cwd=folder
        )
        until_s = time.monotonic() + START_S
        while not self._answers():
            assert self._process.poll() is None, self.log()
            assert time.monotonic() < until_s, self.log()
            time.sleep(0.2)

    def _answers(self):
        try:
            urllib.request.urlopen(self.address, timeout=5).read()
        except OSError:
            return False
        return True

    def log(self):
        return (self.folder / "log.txt").read_text("utf-8", "replace")

    def kill(self):
        """End the server at once, without its last answers."""
        self._process.kill()
        self._process.wait(WAIT_S)
        self._log.close()

    def close(self):
        self._process.terminate()
        self._process.wait(WAIT_S)
        self._log.close()


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(folder, *arguments, environment=None):
    return serve_at(free_port(), folder, *arguments, environment=environment)


def serve_at(port, folder, *arguments, environment=None):
    command = [sys.executable, *map(str, arguments), "--port", str(port)]
    return Server(command, folder, f"http://127.0.0.1:{port}/", environment or {})


class Visitor:
    """A user of the page."""

    def __init__(self, page, inputs):
        self.page, self.inputs, self.errors = page, inputs, []
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.set_default_timeout(WAIT_S * 1000)

    def portrait(self, name="portrait.png"):
        self.page.set_input_files("#sadtalker_portrait input[type=file]", self.inputs / name)
        self.page.wait_for_selector("#sadtalker_faces .st-faces[data-ready]")

    def voice(self, seconds=1):
        self.page.set_input_files("#sadtalker_voice input[type=file]", self.inputs / f"voice_{seconds}.wav")
        self.page.wait_for_selector("#sadtalker_voice audio, #sadtalker_voice .waveform-container", state="attached")
        # Gradio shows the player a moment before the page knows the path of the upload.
        self.page.wait_for_timeout(700)

    def file_choosers(self):
        """Load the page again; return a list to which each file dialog that it opens is added.

        The browser hands its dialogs to playwright only some time after ``page.on`` or ``page.expect_file_chooser``: of
        the dialogs of a plain page that a key opened at once, 39 of 100 were lost.
        """
        opened = []
        self.page.on("filechooser", lambda chooser: opened.append(chooser))  # noqa: PLW0108 - playwright accepts no method of a list
        self.page.reload()
        return opened

    def wait_for(self, found):
        """Wait until a list that an event of the page fills has an item; return it."""
        until_s = time.monotonic() + WAIT_S
        while not found:
            assert time.monotonic() < until_s
            self.page.wait_for_timeout(50)
        return found[0]

    def press(self, name):
        self.page.click(f"#sadtalker_{name}")

    def voice_tab(self, name):
        self.page.click(f"#sadtalker_voice_source label:has-text('{name}')")

    def open_group(self, name):
        """Open a group of settings, if it is closed."""
        title = self.page.locator(f"#sadtalker_part_{name} .label-wrap")
        if "open" not in title.get_attribute("class").split():
            title.click()

    def progress_says(self, text):
        self.page.wait_for_function(
            "text => document.querySelector('#sadtalker_progress').innerText.includes(text)", arg=text
        )
        return self.page.inner_text("#sadtalker_progress")

    def video_duration_s(self):
        """Wait until the browser can play the video; return its duration in seconds."""
        seconds = "(document.querySelector('#sadtalker_video video') || {}).duration"
        self.page.wait_for_function(f"{seconds} > 0")
        return self.page.evaluate(seconds)

    def field(self, name):
        return self.page.input_value(f"#sadtalker_{name} textarea, #sadtalker_{name} input >> nth=0")


def traceback_free(text):
    return not re.search(r"Traceback|Error:|File \"", text)


class HeldRequests:
    """Events of a page that get no answer: at most ``count``, until :meth:`answer` or :meth:`lose`."""

    def __init__(self, page, count=100):
        self._page, self._count, self._held = page, count, []
        page.route(EVENTS, self._receive)

    def _receive(self, route):
        if self._count > 0:
            self._count -= 1
            self._held.append(route)
        else:
            route.continue_()

    def wait(self):
        """Wait for the first event."""
        until_s = time.monotonic() + WAIT_S
        while not self._held:
            assert time.monotonic() < until_s
            self._page.wait_for_timeout(50)

    def answer(self):
        """Let the server answer."""
        self._count = 0
        for route in self._held:
            route.continue_()

    def lose(self):
        """Let the events fail."""
        self._count = 0
        for route in self._held:
            route.abort()
