"""Pictures that browsers cannot show, and files that are no pictures: read by this package, not by Gradio."""

import base64
import subprocess

import numpy as np
import pytest
from browser_pages import traceback_free
from heif_files import FULL_RANGE, grid_file, hevc_tiles, nclx
from PIL import Image

from sadtalker_ext.ffmpeg import ffmpeg_program

SENTENCES = {
    "text.png": "is a text file",
    "broken.heic": "is damaged or incomplete",
    "broken.jpg": "is damaged or incomplete",
    "page.pdf": "is a PDF document",
    "sound.jpg": "is not a picture or video",
}
"""What the page says about files that cannot be read."""


@pytest.fixture(scope="module")
def pictures(inputs):
    """Add the portrait in formats that browsers do not show, and unreadable files, to the inputs."""
    pixels = np.asarray(Image.open(inputs / "portrait.png").convert("RGB"))
    content = grid_file(
        pixels, nclx(1, 13, 6, full=True), code=lambda tiles: hevc_tiles(tiles, "yuv420p", FULL_RANGE)
    )  # fmt: skip
    (inputs / "phone.heic").write_bytes(content)
    (inputs / "broken.heic").write_bytes(content[: len(content) // 2])
    for name in ("new.jxl", "new.avif"):
        command = [ffmpeg_program(), "-v", "error", "-y", "-i", inputs / "portrait.png", inputs / name]
        subprocess.run(command, check=True)
    (inputs / "text.png").write_text("no picture\n" * 50)
    (inputs / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    (inputs / "page.pdf").write_bytes(b"%PDF-1.7\n" + bytes(200))
    (inputs / "sound.jpg").write_bytes((inputs / "voice_1.wav").read_bytes())
    return inputs


@pytest.mark.parametrize("name", ["phone.heic", "new.jxl", "new.avif"])
def test_pictures_that_browsers_cannot_show_are_shown_and_animated(standalone, visit, pictures, name):
    visitor = visit(standalone.address)
    visitor.portrait(name)
    shown = visitor.page.locator("#sadtalker_faces .st-canvas img")
    assert shown.evaluate("image => image.complete && image.naturalWidth") == 256
    assert "This face will be animated" in visitor.page.inner_text("#sadtalker_faces")
    if name == "phone.heic":
        visitor.voice()
        visitor.press("generate")
        assert abs(visitor.video_duration_s() - 1.0) < 0.09
    assert visitor.errors == []
    assert traceback_free(standalone.log())


@pytest.mark.parametrize("name", SENTENCES)
def test_unreadable_files_are_a_sentence(standalone, visit, pictures, name):
    visitor = visit(standalone.address)
    page = visitor.page
    page.set_input_files("#sadtalker_portrait input[type=file]", pictures / name)
    page.wait_for_function("document.querySelector('#sadtalker_faces').innerText.length > 10")
    text = page.inner_text("#sadtalker_faces")
    assert SENTENCES[name] in text
    assert str(standalone.folder) not in text
    assert visitor.errors == []
    assert traceback_free(standalone.log())


def test_a_frame_of_a_video_is_the_portrait(standalone, visit, pictures):
    """The video begins with a title for 0.6 s; another moment is chosen in the settings."""
    still = ["-loop", "1", "-framerate", "10", "-t", "2", "-i", pictures / "portrait.png"]
    title = "drawbox=w=iw:h=ih:color=0x3060A0:t=fill:enable='lt(t,0.55)'"
    command = [ffmpeg_program(), "-v", "error", "-y", *still, "-vf", title, pictures / "talk.mp4"]
    subprocess.run(command, check=True)
    visitor = visit(standalone.address)
    page = visitor.page
    visitor.portrait("talk.mp4")
    assert "This face will be animated" in page.inner_text("#sadtalker_faces")
    assert visitor.field("at") == "auto"
    visitor.open_group("advanced")
    page.fill("#sadtalker_at textarea, #sadtalker_at input", "0.2")
    page.press("#sadtalker_at textarea, #sadtalker_at input", "Enter")
    page.wait_for_function("document.querySelector('#sadtalker_faces').innerText.includes('No face was found')")
    page.fill("#sadtalker_at textarea, #sadtalker_at input", "9")
    page.press("#sadtalker_at textarea, #sadtalker_at input", "Enter")
    page.wait_for_function("document.querySelector('#sadtalker_faces').innerText.includes('choose an earlier moment')")
    page.fill("#sadtalker_at textarea, #sadtalker_at input", "1.5")
    page.press("#sadtalker_at textarea, #sadtalker_at input", "Tab")
    page.wait_for_selector("#sadtalker_faces .st-face-box")
    visitor.voice()
    visitor.press("generate")
    assert abs(visitor.video_duration_s() - 1.0) < 0.09
    assert "its frame at 1.5 s is used" in page.inner_text("#sadtalker_details")
    assert visitor.errors == []


@pytest.mark.parametrize("way", ["drop", "choose"])
@pytest.mark.parametrize("name", ["phone.heic", "new.jxl"])
def test_pictures_of_a_type_that_the_browser_does_not_know(standalone, visit, pictures, name, way):
    """Windows without the codec gives such files no type; Gradio 4 would refuse them."""
    visitor = visit(standalone.address)
    content = base64.b64encode((pictures / name).read_bytes()).decode()
    visitor.page.wait_for_selector("#sadtalker_portrait input[type=file]", state="attached")
    visitor.page.evaluate(
        """([content, name, way]) => {
            const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
            const files = new DataTransfer();
            files.items.add(new File([bytes], name, {type: ""}));
            const input = document.querySelector("#sadtalker_portrait input[type=file]");
            if (way === "choose") {
                input.files = files.files;
                input.dispatchEvent(new Event("change", {bubbles: true}));
                return;
            }
            const event = {bubbles: true, cancelable: true, dataTransfer: files};
            (input.closest("button") || input.parentElement).dispatchEvent(new DragEvent("drop", event));
        }""",
        [content, name, way],
    )
    visitor.page.wait_for_selector("#sadtalker_faces .st-faces[data-ready]")
    assert "This face will be animated" in visitor.page.inner_text("#sadtalker_faces")
    assert visitor.errors == []
