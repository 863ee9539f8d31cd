"""Write the screenshots of the web UI that the README shows: docs/web_ui.jpg and docs/web_ui_phone.jpg.

Usage, in an environment with the test packages, playwright and Chromium::

    CHROMIUM=/usr/bin/chromium python docs/make_screenshots.py
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "webui"))

from browser_pages import Visitor, serve  # noqa: E402

SCREENSHOTS = {"web_ui.jpg": (1440, 900, "light"), "web_ui_phone.jpg": (390, 844, "dark")}
"""Size of the browser window in pixels and theme by file name."""


def main() -> None:
    """Make the video of the example in the web UI and take the screenshots."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        folder = Path(name)
        server = serve(folder, "-m", "sadtalker_ext", "ui", "-o", folder / "videos")
        browser = playwright.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        try:
            for file, (width, height, theme) in SCREENSHOTS.items():
                page = browser.new_page(viewport={"width": width, "height": height})
                visitor = Visitor(page, folder)
                page.goto(f"{server.address}?__theme={theme}")
                page.click("#sadtalker_example")
                page.wait_for_selector("#sadtalker_faces .st-faces[data-ready]")
                page.wait_for_selector("#sadtalker_voice_note .st-text")
                visitor.press("generate")
                visitor.video_duration_s()
                page.evaluate("document.querySelector('#sadtalker_video video').currentTime = 2")
                page.wait_for_timeout(1500)
                page.evaluate("window.scrollTo(0, 0)")
                page.screenshot(path=str(ROOT / "docs" / file), type="jpeg", quality=85)
        finally:
            browser.close()
            server.close()


if __name__ == "__main__":
    main()
