"""Requests of the page whose answers come late or never, and a server that restarts, in a browser."""

import shutil

import pytest
from browser_pages import HeldRequests, Visitor, free_port, serve_at


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


def test_progress_continues_after_an_answer_was_lost(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    visitor.portrait()
    visitor.voice()
    visitor.press("generate")
    page.wait_for_selector("#sadtalker_progress [data-busy]")
    held = HeldRequests(page)
    # The page repeats a request after 15 s without an answer.
    page.wait_for_timeout(17_000)
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
        server.close()
        page.wait_for_selector(".st-server-gone")
        assert "start it again" in page.inner_text(".st-server-gone")
        server = start()
        visitor.progress_says("The server was restarted, and this video was lost")
        page.wait_for_selector(".st-server-gone", state="detached")
        page.wait_for_selector("#sadtalker_generate", state="visible")
    finally:
        server.close()
