"""A real browser and servers of the page; without a browser, its tests are skipped with the reason."""

import http.server
import os
import shutil
import threading
import wave

import numpy as np
import pytest
from attacks import MARK, Attacker, Bait
from browser_pages import Visitor, serve
from PIL import Image

from sadtalker_ext.cli.demo import demo_portrait
from sadtalker_ext.video.write import VideoSpec, write_video

pytest.importorskip("gradio", reason="gradio is not installed")

RATE_HZ = 16000
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP evil.example 127.0.0.1",
)  # fmt: skip


@pytest.fixture(scope="session")
def browser():
    """An installed Chromium, driven by playwright; if the variable CHROMIUM names one, nothing is skipped."""
    program = os.environ.get("CHROMIUM")
    if program:
        import playwright.sync_api as playwright
    else:
        playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
        names = ("chromium", "chromium-browser", "google-chrome", "chrome")
        program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium is on the path, and the variable CHROMIUM names none")
    with playwright.sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=program, args=list(FLAGS))
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def standalone(browser, tmp_path_factory):
    """``sadtalker ui``."""
    folder = tmp_path_factory.mktemp("standalone 説話")
    server = serve(folder, "-m", "sadtalker_ext", "ui", "-o", folder / "videos", "--device", "cpu")
    yield server
    server.close()


@pytest.fixture(scope="session")
def inputs(tmp_path_factory):
    """Files to upload: a portrait, two portraits side by side, a picture without a face, a video, voices by length."""
    folder = tmp_path_factory.mktemp("uploads")
    portrait = Image.open(demo_portrait()).convert("RGB").resize((256, 256), Image.LANCZOS)
    portrait.save(folder / "portrait.png")
    both = Image.new("RGB", (512, 256))
    both.paste(portrait, (0, 0))
    both.paste(portrait, (256, 0))
    both.save(folder / "both.png")
    Image.new("RGB", (256, 256), (40, 120, 200)).save(folder / "empty.png")
    write_video([np.full((64, 64, 3), level, np.uint8) for level in (40, 90)], folder / "reference.mp4", VideoSpec())
    for name, seconds in (("voice_1", 1), ("voice_90", 90), ("short", 0.1)):
        time_s = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
        voice = 0.3 * np.sin(2 * np.pi * 4 * time_s) ** 2 * np.sign(np.sin(2 * np.pi * 140 * time_s))
        with wave.open(str(folder / f"{name}.wav"), "wb") as file:
            file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            file.writeframes((32767 * voice).astype("<i2").tobytes())
    return folder


@pytest.fixture
def visit(browser, inputs):
    """Function that opens the page at an address in a separate browser context."""
    contexts = []

    def open_page(address, width=1280, theme="light", locale="en-US"):
        context = browser.new_context(viewport={"width": width, "height": 1200}, locale=locale)
        contexts.append(context)
        visitor = Visitor(context.new_page(), inputs)
        visitor.page.goto(f"{address}?__theme={theme}")
        visitor.page.wait_for_selector("#sadtalker_generate", state="attached")
        return visitor

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def attacked(tmp_path_factory, inputs):
    """``sadtalker ui`` with secret files in its working directory, one of them a picture with a face."""
    folder = tmp_path_factory.mktemp("attacked")
    (folder / "secret.txt").write_text(MARK)
    (folder / "secret.mp4").write_text(MARK)
    (folder / "secret.png").write_bytes((inputs / "portrait.png").read_bytes())
    (folder / "inner").mkdir()
    (folder / "inner" / "secret.txt").write_text(MARK)
    made = serve(folder, "-m", "sadtalker_ext", "ui", "-o", folder / "videos", "--device", "cpu")
    yield made
    made.close()


@pytest.fixture
def attacker(attacked):
    return Attacker(attacked.address)


@pytest.fixture
def bait():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bait)
    server.requests = []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()
