"""Requests of the page whose answers come late or never, and a server that restarts, in a browser."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
from browser_pages import EVENTS, HeldRequests, Visitor, free_port, serve_at

from sadtalker_ext.pipeline.result_metadata import Record
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.write import VideoSpec, write_video


def test_a_message_is_hidden_when_the_portrait_is_chosen_before_the_answer(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    held = HeldRequests(page, 1)
    visitor.press("generate")
    held.wait()
    visitor.portrait()
    held.answer()
    page.wait_for_selector("#sadtalker_progress .st-error", state="attached")
    page.wait_for_selector("#sadtalker_progress .st-error", state="hidden")
    visitor.press("generate")
    visitor.progress_says("Choose a voice first")
    assert page.is_visible("#sadtalker_progress .st-error")


def test_a_portrait_chosen_while_another_is_examined_is_examined_next(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    held = HeldRequests(page)
    page.set_input_files("#sadtalker_portrait input[type=file]", visitor.inputs / "portrait.png")
    held.wait()
    page.evaluate("window.sadtalkerUi.clearFile('sadtalker_portrait')")
    page.wait_for_selector("#sadtalker_portrait input[type=file]", state="attached")
    page.set_input_files("#sadtalker_portrait input[type=file]", visitor.inputs / "both.png")
    page.wait_for_timeout(1000)
    held.answer()
    page.wait_for_selector("#sadtalker_faces .st-faces[data-count='2']")
    assert visitor.errors == []


@pytest.fixture
def results(standalone):
    """Three results; their names from the oldest to the newest."""
    folder = standalone.folder / "videos" / "2001-01-31"
    folder.mkdir(parents=True)
    frames = [np.full((64, 48, 3), level, np.uint8) for level in (40, 90)]
    for name in ("one", "two", "three"):
        write_video(frames, folder / f"{name}.mp4", replace(VideoSpec(), metadata=Record(Settings()).tags()))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_the_engine_chosen_last_is_shown(standalone, visit, results):
    visitor = visit(standalone.address)
    page = visitor.page
    page.wait_for_selector(".st-card")
    held = HeldRequests(page)
    page.click("#sadtalker_engine label:has-text('SadTalker networks')")
    held.wait()
    page.click("#sadtalker_engine label:has-text('Starter')")
    with page.expect_request(EVENTS) as second:
        held.answer()
    assert second.value.response().ok
    page.wait_for_selector("#sadtalker_download", state="hidden")
    held = HeldRequests(page)
    page.click("#sadtalker_engine label:has-text('SadTalker networks')")
    held.wait()
    held.lose()
    page.click("#sadtalker_engine label:has-text('Starter')")
    page.click("#sadtalker_engine label:has-text('SadTalker networks')")
    page.wait_for_selector("#sadtalker_download", state="visible")


def test_actions_on_results_wait_for_each_other(standalone, visit, results):
    visitor = visit(standalone.address)
    page = visitor.page
    cards = {name: page.locator(f".st-card[data-name$='/{name}.mp4']") for name in ("one", "two", "three")}
    cards["three"].locator(".st-result").wait_for()
    held = HeldRequests(page)
    cards["one"].locator(".st-result").click()
    held.wait()
    cards["two"].locator("[data-result=delete]").click()
    cards["two"].locator("[data-result=delete]").click()
    cards["one"].locator(".st-result").click()
    cards["three"].locator(".st-result").click()
    held.answer()
    page.wait_for_selector(".st-shown[data-name$='/three.mp4']")
    page.wait_for_function("document.querySelector('#sadtalker_details').innerText.includes('three.mp4')")
    cards["two"].wait_for(state="detached")
    assert sorted(path.name for path in results.iterdir()) == ["one.mp4", "three.mp4"]


def test_progress_continues_after_an_answer_was_lost(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    visitor.portrait()
    visitor.voice()
    visitor.press("generate")
    page.wait_for_selector("#sadtalker_progress [data-busy]")
    held = HeldRequests(page)
    held.wait()
    # The page repeats a request after 15 s without an answer.
    page.clock.install()
    page.clock.fast_forward(16_000)
    page.wait_for_timeout(1000)
    held.lose()
    visitor.video_duration_s()


@pytest.fixture
def restartable(browser, inputs, tmp_path):
    """A page of a server that the test closes and starts again at the same address."""
    port = free_port()

    def start():
        arguments = ("-m", "sadtalker_ext", "ui", "-o", tmp_path / "videos", "--device", "cpu")
        return serve_at(port, tmp_path, *arguments)

    context = browser.new_context()
    yield Visitor(context.new_page(), inputs), start
    context.close()
    shutil.rmtree(tmp_path / "gradio", ignore_errors=True)


def test_a_server_that_is_closed_and_started_again(restartable):
    visitor, start = restartable
    page = visitor.page
    server = start()
    try:
        page.goto(server.address)
        page.wait_for_selector("#sadtalker_generate")
        visitor.portrait()
        visitor.voice(90)
        visitor.press("generate")
        page.wait_for_selector("#sadtalker_progress [data-busy]")
        server.kill()
        page.wait_for_selector(".st-server-gone")
        assert "start it again" in page.inner_text(".st-server-gone")
        assert page.locator(".toast-body:visible").count() == 0
        server = start()
        visitor.progress_says("The server was restarted, and this video was lost")
        page.wait_for_selector(".st-server-gone", state="detached")
        page.wait_for_selector("#sadtalker_generate", state="visible")
    finally:
        server.close()
