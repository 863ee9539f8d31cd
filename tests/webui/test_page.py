"""The page in a browser, used as a user would."""

from browser_pages import traceback_free

from sadtalker_ext.pipeline.result_metadata import read_record
from sadtalker_ext.settings import Settings


def videos(server):
    return sorted((server.folder / "videos").glob("*/*"))


def test_from_two_files_to_a_video_that_plays(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    before = len(videos(standalone))
    visitor.portrait()
    assert "This face will be animated" in page.inner_text("#sadtalker_faces")
    assert page.locator("#sadtalker_faces .st-face-box.st-chosen").count() == 1
    visitor.voice()
    assert "0:01 of speech" in page.inner_text("#sadtalker_voice_note")
    visitor.open_group("head")
    page.check("#sadtalker_still input")
    visitor.press("generate")
    page.wait_for_selector("#sadtalker_progress [role=progressbar]")
    assert abs(visitor.video_duration_s() - 1.0) < 0.09
    page.evaluate("document.querySelector('#sadtalker_video video').play()")
    page.wait_for_function("document.querySelector('#sadtalker_video video').currentTime > 0.3")
    assert page.is_hidden("#sadtalker_progress")
    assert page.is_hidden("#sadtalker_interrupt")
    details = page.inner_text("#sadtalker_details")
    assert "256 x 256 · 25 frames per second" in details
    assert "Still head: on" in details
    assert "made in" in details
    assert "real time" not in details
    (video,) = videos(standalone)[before:]
    assert read_record(video).settings == Settings(still=True)
    assert page.locator("#sadtalker_gallery .st-result img").count() == before + 1
    assert visitor.errors == []


def test_the_settings_of_an_earlier_result_can_be_reused(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    visitor.portrait()
    visitor.voice()
    visitor.open_group("head")
    page.check("#sadtalker_still input")
    visitor.press("generate")
    visitor.video_duration_s()
    page.reload()
    page.click("#sadtalker_gallery .st-result >> nth=0")
    visitor.video_duration_s()
    visitor.open_group("head")
    assert not page.is_checked("#sadtalker_still input")
    visitor.press("reuse_settings")
    visitor.progress_says("The fields now show")
    page.wait_for_selector("#sadtalker_still input:checked", state="attached")


def test_a_face_is_chosen_by_button_click_or_box(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    visitor.portrait("both.png")
    assert "2 faces" in page.inner_text("#sadtalker_faces")
    assert visitor.field("face") == "largest"
    page.click("#sadtalker_faces button.st-face >> nth=1")
    assert visitor.field("face") == "2"
    box = page.locator("#sadtalker_faces .st-canvas").bounding_box()
    other = page.locator("#sadtalker_faces rect[data-face='1']").bounding_box()
    page.mouse.click(other["x"] + other["width"] / 2, other["y"] + other["height"] / 2)
    assert visitor.field("face") == "1"
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + box["height"] / 4)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 3 * box["height"] / 4, steps=4)
    page.mouse.up()
    drawn = [int(number) for number in visitor.field("face").split(",")]
    assert all(abs(number - expected) <= 4 for number, expected in zip(drawn, (128, 64, 128, 128), strict=True))
    assert page.is_visible("#sadtalker_face")
    assert "The face in the box will be animated" in page.inner_text("#sadtalker_faces")
    assert "2 faces" not in page.inner_text("#sadtalker_faces")
    page.click("#sadtalker_faces [data-box=remove]")
    assert visitor.field("face") == "1"
    assert page.is_hidden("#sadtalker_face")
    page.set_input_files("#sadtalker_faces input[type=file]", visitor.inputs / "portrait.png")
    page.wait_for_selector("#sadtalker_faces .st-faces[data-count='1'][data-ready]")
    page.wait_for_function(
        "document.querySelector('#sadtalker_face textarea, #sadtalker_face input').value == 'largest'"
    )
    assert page.is_hidden("#sadtalker_portrait")
    page.click("#sadtalker_faces [data-portrait=remove]")
    page.wait_for_selector("#sadtalker_faces .st-faces", state="detached")
    assert page.is_visible("#sadtalker_portrait")


def test_errors_are_shown_as_sentences(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    visitor.press("generate")
    visitor.progress_says("Choose a portrait first")
    visitor.portrait("empty.png")
    assert "No face was found. Draw a box" in page.inner_text("#sadtalker_faces")
    assert visitor.field("face") == ""
    visitor.press("generate")
    visitor.progress_says("Choose a voice first")
    visitor.voice()
    visitor.press("generate")
    shown = visitor.progress_says("No face was found. Draw a box around it on the picture")
    assert traceback_free(shown)
    assert "/" not in shown
    assert page.locator("#sadtalker_progress [role=alert]").count() == 1
    page.fill("#sadtalker_face textarea, #sadtalker_face input", "nose")
    page.wait_for_timeout(300)
    visitor.press("generate")
    assert "largest, a number from 1, or a box" in visitor.progress_says("The setting Face is 'nose'")


def test_interrupt_leaves_no_file_and_the_next_video_works(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    before = videos(standalone)
    visitor.portrait()
    visitor.voice(90)
    visitor.press("generate")
    page.wait_for_selector("#sadtalker_progress .st-preview")
    assert "left" in page.inner_text("#sadtalker_progress")
    progress_text = "document.querySelector('#sadtalker_progress').innerText"
    click = "document.querySelector('#sadtalker_interrupt').click()"
    at_once = page.evaluate(f"() => {{ {click}; return {progress_text}; }}")
    assert "Stopping ..." in at_once
    visitor.progress_says("no file was written")
    page.wait_for_selector("#sadtalker_progress [data-busy]", state="detached")
    assert videos(standalone) == before
    page.reload()
    visitor.portrait()
    visitor.voice()
    visitor.press("generate")
    visitor.video_duration_s()
    assert len(videos(standalone)) == len(before) + 1


def test_interrupt_works_before_the_request_is_answered(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    before = videos(standalone)
    visitor.portrait()
    visitor.voice(90)
    both = "['generate', 'interrupt'].forEach(name => document.querySelector('#sadtalker_' + name).click())"
    page.evaluate(f"() => {{ {both}; }}")
    visitor.progress_says("Stopped")
    page.wait_for_selector("#sadtalker_progress [data-busy]", state="detached")
    assert videos(standalone) == before
    page.reload()
    page.wait_for_timeout(1500)
    assert page.locator("#sadtalker_progress [data-busy]").count() == 0


def test_interrupt_does_not_wait_for_a_slow_request(standalone, visit):
    """The request is delayed, as by a slow connection; it names the voice, which was uploaded when it was chosen."""
    visitor = visit(standalone.address)
    page = visitor.page
    before, held = videos(standalone), []
    visitor.portrait()
    visitor.voice(90)

    def hold(route):
        if "voice_90" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    page.route("**/run/**", hold)
    visitor.press("generate")
    visitor.press("interrupt")
    visitor.progress_says("Stopped before it started")
    (request,) = held
    assert len(request.request.post_data) < 1_000_000
    with page.expect_response("**/run/**"):
        request.continue_()
    page.wait_for_timeout(1500)
    assert "Stopped before it started" in page.inner_text("#sadtalker_progress")
    assert videos(standalone) == before
    page.unroute("**/run/**")
    visitor.press("generate")
    page.wait_for_selector("#sadtalker_progress [data-busy]")
    visitor.press("interrupt")
    visitor.progress_says("no file was written")


def test_a_silent_video_needs_no_voice(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    visitor.portrait()
    visitor.voice()
    visitor.voice_tab("Silent video")
    assert page.is_hidden("#sadtalker_voice")
    page.fill("#sadtalker_idle input[type=number]", "2")
    page.keyboard.press("Tab")
    page.wait_for_timeout(300)
    visitor.press("generate")
    assert abs(visitor.video_duration_s() - 2.0) < 0.09
    assert "silent_" in page.inner_text("#sadtalker_details")
    visitor.voice_tab("Text")
    visitor.press("generate")
    visitor.progress_says("Write a text first")
    visitor.voice_tab("Microphone")
    assert page.is_visible("#sadtalker_recorder button")


def test_a_reference_is_offered_for_engines_that_support_it(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    assert page.is_hidden("#sadtalker_reference_part")
    page.click("#sadtalker_engine label:has-text('SadTalker networks')")
    page.wait_for_selector("#sadtalker_reference_part .label-wrap")
    page.click("#sadtalker_reference_part .label-wrap")
    assert page.is_checked("#sadtalker_reference_use label:has-text('Blinks and head') input")
    page.set_input_files("#sadtalker_reference input[type=file]", visitor.inputs / "reference.mp4")
    page.wait_for_selector("#sadtalker_reference :text('reference')")
    page.click("#sadtalker_engine label:has-text('Starter')")
    page.wait_for_selector("#sadtalker_reference_part", state="hidden")
    assert visitor.errors == []


def test_missing_checkpoints_are_named(standalone, visit):
    visitor = visit(standalone.address)
    page = visitor.page
    page.click("#sadtalker_engine label:has-text('SadTalker networks')")
    page.wait_for_selector("#sadtalker_panel summary")
    page.click("#sadtalker_panel summary")
    assert "SadTalker_V0.0.2_256.safetensors" in page.inner_text("#sadtalker_panel")
    assert page.inner_text("#sadtalker_download") == "Download 1,036 MB"
    assert page.locator("#sadtalker_panel .st-error").count() == 0
    visitor.portrait()
    visitor.voice()
    visitor.press("generate")
    visitor.progress_says("networks are not installed yet")
    page.click("#sadtalker_engine label:has-text('Starter')")
    page.wait_for_selector("#sadtalker_download", state="hidden")


def test_a_narrow_window_shows_everything(standalone, visit):
    for theme in ("light", "dark"):
        visitor = visit(standalone.address, width=390, theme=theme)
        visitor.portrait()
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= 391
        box = visitor.page.locator("#sadtalker_generate").bounding_box()
        assert visitor.page.locator("#sadtalker_outputs .st-empty").bounding_box()["height"] <= 200
        assert 0 < box["y"] < box["y"] + box["height"] <= visitor.page.viewport_size["height"]
        tops = [
            visitor.page.locator(f"#sadtalker_{part}").bounding_box()["y"]
            for part in ("voice_field", "outputs", "settings")
        ]
        assert tops == sorted(tops)


def test_a_keyboard_reaches_the_buttons(standalone, visit):
    visitor = visit(standalone.address)
    visitor.page.focus("#sadtalker_generate")
    visitor.page.keyboard.press("Enter")
    visitor.progress_says("Choose a portrait first")
    assert visitor.page.evaluate("document.activeElement.id") == "sadtalker_outputs"
