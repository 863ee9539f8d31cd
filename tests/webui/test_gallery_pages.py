"""Older results in a browser: the pages of the gallery, and the keyboard's focus on its buttons."""

import os
import shutil

import numpy as np
import pytest

pytest.importorskip("gradio")

from sadtalker_ext.video.write import VideoSpec, write_video
from sadtalker_ext.webui.results import GALLERY_SIZE

COUNT = GALLERY_SIZE + 1
FOCUSED = "document.activeElement.dataset.page"


@pytest.fixture
def day(standalone):
    """More old results than a page of the gallery shows, in a separate folder."""
    folder = standalone.folder / "videos" / "1999-12-31"
    folder.mkdir(parents=True)
    first = folder / "old_0.mp4"
    write_video([np.full((48, 48, 3), level, np.uint8) for level in (40, 90)], first, VideoSpec())
    for index in range(1, COUNT):
        shutil.copy(first, folder / f"old_{index}.mp4")
    for index in range(COUNT):
        os.utime(folder / f"old_{index}.mp4", (1000 * index, 1000 * index))
    yield folder
    shutil.rmtree(folder)


def test_older_results_are_found_shown_and_deleted_with_the_keyboard(standalone, visit, day):
    visitor = visit(standalone.address)
    page = visitor.page
    oldest = page.locator(".st-card[data-name$='/old_0.mp4']")
    older = page.locator("#sadtalker_gallery [data-page=Older]")
    older.wait_for()
    assert oldest.count() == 0
    assert page.is_disabled("#sadtalker_gallery [data-page=Newer]")
    before = page.inner_text("#sadtalker_gallery nav [role=status]")
    assert before.startswith(f"1 to {GALLERY_SIZE} of ")
    older.focus()
    page.keyboard.press("Enter")
    oldest.wait_for()
    page.wait_for_function(f"['Older', 'Newer'].includes({FOCUSED})")
    oldest.locator(".st-result").focus()
    page.keyboard.press("Enter")
    visitor.video_duration_s()
    page.wait_for_selector(".st-shown[data-name$='/old_0.mp4']")
    oldest.locator("[data-result=delete]").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    oldest.wait_for(state="detached")
    assert not (day / "old_0.mp4").exists()
    page.wait_for_function("document.activeElement.closest('.st-card') !== null")
    assert visitor.errors == []
