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
    """Also in place of a portrait that was chosen before."""
    visitor = visit(host.address)
    page = visitor.page
    tab(visitor, "SadTalker")
    visitor.portrait()
    tab(visitor, "PNG Info")
    page.set_input_files("#pnginfo_image input[type=file]", visitor.inputs / "both.png")
    page.wait_for_selector("#pnginfo_image img")
    page.wait_for_timeout(700)
    page.click("#pnginfo_send_to_sadtalker")
    page.wait_for_selector("#sadtalker_faces .st-faces[data-ready][data-count='2']")
    assert "2 faces" in page.inner_text("#sadtalker_faces")


WEBUI_PROGRESS = """(draws) => {
    window.requestProgress = function (job, container) {
        if (draws) {
            const bar = document.createElement("div");
            bar.className = "progressDiv";
            bar.textContent = "the webui's bar";
            container.parentNode.insertBefore(bar, container);
        }
    };
}"""


@pytest.mark.parametrize("draws", [True, False])
def test_the_pages_bar_is_shown_unless_the_webui_shows_one_in_the_tab(host, visit, draws):
    """SD.Next has the function of the webui's progress bar, but it shows no bar in the tab."""
    visitor = visit(host.address)
    page = visitor.page
    page.evaluate(WEBUI_PROGRESS, draws)
    tab(visitor, "SadTalker")
    visitor.portrait()
    visitor.voice(90)
    visitor.press("generate")
    page.wait_for_selector("#sadtalker_progress .st-preview")
    page.wait_for_timeout(1000)
    assert page.is_visible("#sadtalker_progress .st-bar") is not draws
    assert ("Rendering frames" in page.inner_text("#sadtalker_progress")) is not draws
    assert (page.locator("#tab_sadtalker .progressDiv").count() == 1) is draws
    visitor.press("interrupt")
    page.wait_for_selector("#sadtalker_progress .st-message")
    assert visitor.errors == []


COMMENT = """([name, className]) => {
    const log = document.createElement("div");
    log.id = "html_log_txt2img";
    log.innerHTML = `<p class="${className}">by the host<br>SadTalker made ${name} (Seed: 5)</p>`;
    document.querySelector("#txt2img_gallery").after(log);
}"""
COMMENT_CLASSES = ("comments", "plaintext ")
"""Class of the paragraph in AUTOMATIC1111 and in SD.Next."""


def test_a_video_of_the_script_is_played_from_the_comment_on_the_generation(host, visit):
    """The tab also shows it in the gallery, because it is refreshed whenever it comes into view."""
    folder = host.folder / "data 説話" / "outputs" / "SadTalker"
    visitor = visit(host.address)
    page = visitor.page
    tab(visitor, "SadTalker")
    page.wait_for_timeout(1000)
    tab(visitor, "txt2img")
    (video, *_) = folder.glob("*/*.mp4")
    made = shutil.copy(video, video.with_name("by_the_script_101010_101.mp4"))
    for class_name in COMMENT_CLASSES:
        page.evaluate(COMMENT, [Path(made).relative_to(folder).as_posix(), class_name])
    button = page.locator("button.st-open-result:has-text('Play by_the_script')")
    button.nth(1).click()
    assert button.count() == len(COMMENT_CLASSES)
    assert abs(visitor.video_duration_s() - 1.0) < 0.09
    assert page.is_visible("#sadtalker_video")
    page.wait_for_selector(".st-card:has-text('by the script')")
    assert visitor.errors == []
