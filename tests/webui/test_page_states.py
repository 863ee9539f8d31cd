"""States of the page in a browser: example, recording, comparison, deletion, refused files."""

import pytest

pytest.importorskip("gradio")

from sadtalker_ext.pipeline.result_metadata import read_record
from sadtalker_ext.webui.compat_inputs import is_gradio_3


def videos(server):
    return sorted((server.folder / "videos").glob("*/*.mp4"))


def test_the_example_fills_both_fields_and_makes_a_video(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    page.click("#sadtalker_example")
    page.wait_for_selector("#sadtalker_faces .st-faces[data-count='1'][data-ready]")
    page.wait_for_selector("#sadtalker_voice_note .st-text")
    assert page.is_hidden("#sadtalker_example")
    visitor.press("generate")
    assert page.is_visible("#sadtalker_interrupt")
    assert abs(visitor.video_duration_s() - 4.05) < 0.09
    assert "made in" in page.inner_text("#sadtalker_details")
    assert visitor.errors == []


def test_two_results_are_compared_and_one_is_deleted(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    visitor.portrait()
    visitor.voice_tab("Silent video")
    page.fill("#sadtalker_idle input[type=number]", "1")
    page.keyboard.press("Tab")
    page.wait_for_timeout(300)
    visitor.open_group("head")
    page.fill("#sadtalker_yaw_slider input[type=number]", "12")
    page.keyboard.press("Tab")
    page.wait_for_timeout(500)
    visitor.open_group("advanced")
    assert visitor.field("yaw") == "12"
    before = len(videos(standalone))
    visitor.press("generate")
    visitor.video_duration_s()
    assert "Turn (yaw): 12" in page.inner_text("#sadtalker_details")
    made = [path for path in videos(standalone) if read_record(path).settings.yaw == "12"]
    assert len(made) == 1
    page.fill("#sadtalker_yaw textarea, #sadtalker_yaw input", "-5,5")
    page.wait_for_timeout(500)
    assert page.input_value("#sadtalker_yaw_slider input[type=number]") == "0"
    visitor.press("generate")
    page.wait_for_function("document.querySelector('#sadtalker_details').innerText.includes('-5,5')")
    shown = page.locator(".st-shown .st-result[aria-current=true]")
    shown.wait_for()
    assert shown.count() == 1
    assert page.locator(".st-shown [data-result=compare]").is_hidden()
    other = page.locator(f".st-card[data-name$='{made[0].name}']")
    other.locator("[data-result=compare]").click()
    page.wait_for_selector("#sadtalker_compared video", state="attached")
    rows = page.inner_text("#sadtalker_details")
    assert "-5,5" in rows
    assert "12" in rows
    page.click("[data-compare=close]")
    page.wait_for_selector("#sadtalker_compared video", state="detached")
    other.locator("[data-result=delete]").click()
    assert made[0].exists()
    other.locator("[data-result=delete]:has-text('Delete?')").click()
    other.wait_for(state="detached")
    assert len(videos(standalone)) == before + 1
    assert visitor.errors == []


def test_refused_files_are_named_beside_their_field_until_another_is_chosen(standalone, visit):
    """Also where Gradio translates its own labels, such as that of the button that removes a file."""
    visitor = visit(standalone.address, locale="zh-CN")
    page = visitor.page
    broken = visitor.inputs / "broken.png"
    broken.write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(300))
    visitor.press("generate")
    visitor.progress_says("Choose a portrait first")
    page.set_input_files("#sadtalker_portrait input[type=file]", broken)
    page.wait_for_selector("#sadtalker_faces .st-error")
    page.wait_for_selector("#sadtalker_progress .st-error", state="hidden")
    assert page.is_hidden("#sadtalker_portrait")
    page.set_input_files("#sadtalker_faces input[type=file]", visitor.inputs / "portrait.png")
    page.wait_for_selector("#sadtalker_faces .st-faces[data-ready]")
    assert page.locator("#sadtalker_faces .st-error").count() == 0
    page.set_input_files("#sadtalker_voice input[type=file]", visitor.inputs / "short.wav")
    page.wait_for_selector("#sadtalker_voice_note .st-error")
    assert "choose at least 0.2 s" in page.inner_text("#sadtalker_voice_note")
    page.evaluate("window.sadtalkerUi.clearFile('sadtalker_voice')")
    page.wait_for_selector("#sadtalker_voice_note .st-error", state="detached")


LARGE_FILE = """([field, name]) => {
    const files = new DataTransfer();
    files.items.add(new File([new Uint8Array(101e6)], name, {type: "video/mp4"}));
    const input = document.querySelector(field + " input[type=file]");
    input.files = files.files;
    input.dispatchEvent(new Event("change", {bubbles: true}));
}"""


@pytest.mark.skipif(not is_gradio_3(), reason="only Gradio 3 keeps uploads as text in the page")
def test_a_file_that_would_crash_the_tab_is_refused(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    page.evaluate(LARGE_FILE, ["#sadtalker_portrait", "holiday.mp4"])
    line = page.inner_text(".st-upload")
    assert "holiday.mp4 has 101 MB, but this page takes up to 100 MB. Choose a smaller picture, or a shorter" in line
    visitor.portrait()
    assert page.locator(".st-upload").count() == 0
    assert visitor.errors == []


LARGE_VOICE = """() => {
    const rate = 16000, samples = new Int16Array(51e6), files = new DataTransfer();
    samples.forEach((_, i) => samples[i] = i < 2 * rate ? 9000 * Math.sin(i / 20) : 0);
    const head = new DataView(new ArrayBuffer(44));
    const text = (at, letters) => Array.from(letters).forEach((c, i) => head.setUint8(at + i, c.charCodeAt(0)));
    [[0, "RIFF"], [8, "WAVEfmt "], [36, "data"]].forEach(([at, letters]) => text(at, letters));
    const numbers = [[4, 36 + 102e6], [16, 16], [24, rate], [28, 2 * rate], [40, 102e6]];
    numbers.forEach(([at, value]) => head.setUint32(at, value, true));
    [[20, 1], [22, 1], [32, 2], [34, 16]].forEach(([at, n]) => head.setUint16(at, n, true));
    files.items.add(new File([head, samples], "lecture.wav", {type: "audio/wav"}));
    const input = document.querySelector("#sadtalker_voice input[type=file]");
    input.files = files.files;
    input.dispatchEvent(new Event("change", {bubbles: true}));
}"""
"""Choose a voice of 102 MB, 53 minutes long."""


@pytest.mark.skipif(not is_gradio_3(), reason="only Gradio 3 keeps uploads as text in the page")
def test_a_large_voice_is_uploaded_without_the_page(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    page.evaluate(LARGE_VOICE)
    page.wait_for_selector("#sadtalker_voice_note .st-text:has-text('53:07 of speech')")
    assert "/file=" in page.get_attribute("#sadtalker_voice audio", "src")
    assert page.locator(".st-upload").count() == 0
    assert visitor.errors == []


def test_a_voice_is_recorded_with_level_and_timer(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    page.context.grant_permissions(["microphone"])
    visitor.voice_tab("Microphone")
    page.click("[data-recorder=begin]")
    page.wait_for_selector(".st-timer:has-text('0:01')")
    level = "parseFloat(document.querySelector('.st-level > div').style.width)"
    page.wait_for_function(f"{level} > 1")
    page.click("[data-recorder=end]")
    page.wait_for_selector("#sadtalker_voice_note .st-text, #sadtalker_voice_note .st-error")
    assert "of speech" in page.inner_text("#sadtalker_voice_note")
    assert visitor.errors == []
