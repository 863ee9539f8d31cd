"""The tab inside a host, in a browser: pictures are sent from other tabs and animated."""

import shutil
from pathlib import Path

import pytest
from browser_pages import ROOT, serve


@pytest.fixture(scope="module")
def host(browser, inputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("host")
    data = folder / "data 説話"
    data.mkdir()
    picture = shutil.copy(inputs / "portrait.png", data)
    program = Path(ROOT, "tests", "host", "stub_webui.py")
    server = serve(folder, program, "--data", data, "--picture", picture)
    yield server
    server.close()


def tab(visitor, name):
    visitor.page.click(f"#tabs button:has-text('{name}') >> nth=0")


def test_a_result_is_sent_to_the_tab_and_animated(host, visit):
    visitor = visit(host.address)
    page = visitor.page
    page.wait_for_selector("#txt2img_gallery img")
    page.click("#txt2img_send_to_sadtalker")
    page.wait_for_selector("#sadtalker_faces .st-faces[data-ready]")
    assert page.is_visible("#sadtalker_generate")
    assert page.locator("#sadtalker_faces .st-face-box").count() == 1
    visitor.voice()
    visitor.press("generate")
    assert abs(visitor.video_duration_s() - 1.0) < 0.09
    assert len(list((host.folder / "data 説話" / "outputs" / "SadTalker").glob("*/*.mp4"))) == 1
    assert visitor.errors == []


def test_png_info_sends_pictures(host, visit):
    visitor = visit(host.address)
    page = visitor.page
    tab(visitor, "PNG Info")
    page.set_input_files("#pnginfo_image input[type=file]", visitor.inputs / "both.png")
    page.wait_for_selector("#pnginfo_image img")
    page.wait_for_timeout(700)
    page.click("#pnginfo_send_to_sadtalker")
    page.wait_for_selector("#sadtalker_faces .st-faces[data-ready]")
    assert "2 faces" in page.inner_text("#sadtalker_faces")
