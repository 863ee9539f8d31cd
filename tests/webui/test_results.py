"""Earlier results: gallery, comparison, deletion."""

import os
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("gradio")

from sadtalker_ext.errors import MediaError
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.pipeline.result_metadata import Record
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.write import VideoSpec, write_video
from sadtalker_ext.webui import results
from sadtalker_ext.webui.actions import PageActions
from sadtalker_ext.webui.page_context import PageContext

CALM, LIVELY = Settings(pose_style="1", still=True), Settings(pose_style="2", head_motion_scale=1.5, still=True)


@pytest.fixture(scope="module")
def videos(tmp_path_factory):
    """Two results with different settings."""
    folder = tmp_path_factory.mktemp("results")
    frames = [np.full((64, 48, 3), level, np.uint8) for level in (40, 90, 120)]
    for name, settings in (("hello_101500_123", CALM), ("good_day_101600_456", LIVELY)):
        (folder / "2026-01-31").mkdir(exist_ok=True)
        spec = replace(VideoSpec(), metadata=Record(settings).tags())
        write_video(frames, folder / "2026-01-31" / f"{name}.mp4", spec)
    return folder


@pytest.fixture
def folder(videos, tmp_path):
    return shutil.copytree(videos, tmp_path / "results")


def actions(folder, local=True):
    return PageActions(PageContext(JobQueue(), lambda: folder, lambda: (folder,), local=local))


@pytest.mark.parametrize("name", ["../secret.mp4", "/etc/passwd", "day/none.mp4", "day/a.txt", "day", "", "\0"])
def test_only_results_are_found(tmp_path, name):
    folder = tmp_path / "videos"
    (folder / "day").mkdir(parents=True)
    (folder / "day" / "a.txt").touch()
    (tmp_path / "secret.mp4").touch()
    assert results.find_result(name, folder) is None
    with pytest.raises(MediaError, match="no longer exists"):
        results.delete_result(name, folder)
    assert (tmp_path / "secret.mp4").exists()


def test_recent_results_are_the_newest_first(tmp_path):
    (tmp_path / "day").mkdir()
    for index in range(4):
        path = tmp_path / "day" / f"{index}.mp4"
        path.touch()
        os.utime(path, (index, index))
    assert [path.stem for path in results.recent_results(tmp_path)] == ["3", "2", "1", "0"]
    assert results.gallery_view(tmp_path) == ""


def test_the_gallery_shows_caption_and_length(folder):
    shown = results.gallery_view(folder, deletable=True)
    assert shown.count("st-card") == shown.count('data-result="delete"') == 2
    assert '<span class="st-caption">good day</span>' in shown
    assert '<span class="st-length">0:00</span>' in shown
    assert 'data-result="delete"' not in results.gallery_view(folder)


def test_all_results_are_reached_page_by_page(folder, monkeypatch):
    """Each page continues where the one before ends; together they show every result once, the newest first."""
    monkeypatch.setattr(results, "GALLERY_SIZE", 3)
    original = next((folder / "2026-01-31").iterdir())
    for index in range(5):
        copy = shutil.copy(original, folder / "2026-01-31" / f"more_{index}.mp4")
        os.utime(copy, (index, index))
    pages = [actions(folder).show_page(str(number)) for number in (1, 2, 3)]
    names = [re.findall(r'class="st-card" data-name="([^"]+)"', page) for page in pages]
    newest_first = results.recent_results(folder)
    assert [name for page in names for name in page] == [path.relative_to(folder).as_posix() for path in newest_first]
    positions = [re.search(r'role="status">([^<]+)', page)[1] for page in pages]
    assert positions == ["1 to 3 of 7", "4 to 6 of 7", "7 to 7 of 7"]
    disabled = [re.findall(r"disabled>(\w+)", page) for page in pages]
    assert disabled == [["Newer"], [], ["Older"]]
    for number in ("0", "-1", "x", "9" * 5000, None, [2], "\u0663"):
        assert actions(folder).show_page(number) == pages[0], number
    assert actions(folder).show_page("99") == pages[2]
    text, *_, gallery = actions(folder).delete_result(names[1][0], "")
    assert "4 to 6 of 6" in gallery
    assert "st-error" not in text


def test_one_page_has_no_buttons_to_others(folder):
    assert "<nav" not in results.gallery_view(folder)


def test_a_comparison_lists_what_differs(folder):
    names = [f"2026-01-31/{path.name}" for path in sorted((folder / "2026-01-31").iterdir())]
    progress, video, details = actions(folder).compare_results(*names)
    assert (progress, video) == ("", str(folder / names[1]))
    rows = details.split("<tbody>")[1].split("</tbody>")[0]
    assert rows.count("<tr>") == 2
    assert "Head movement</th><td>1.5</td><td>1.0</td>" in rows
    assert "Head motion style</th><td>Lively</td><td>Calm</td>" in rows
    assert "Close the comparison" in details
    assert "<th scope=col>Result</th><th scope=col>Compared with</th>" in details
    assert "were made with the same settings" in actions(folder).compare_results(names[0], names[0])[2]
    assert actions(folder).compare_results(names[0], "")[1] is None
    assert "choose a result first" in actions(folder).compare_results("", names[0])[0]


def test_a_deleted_result_leaves_the_page_and_the_disk(folder):
    first, second = (f"2026-01-31/{path.name}" for path in sorted((folder / "2026-01-31").iterdir()))
    text, video, _, _, _, gallery = actions(folder).delete_result(first, second)
    assert "Deleted good day." in text
    assert not (folder / first).exists()
    assert gallery.count("st-card") == 1
    assert video != None  # noqa: E711 - an update that keeps the shown video
    assert actions(folder).delete_result(second, second)[1] is None
    assert not (folder / "2026-01-31").exists()


def test_only_a_browser_on_the_same_machine_deletes(folder):
    (name, *_) = [f"2026-01-31/{path.name}" for path in (folder / "2026-01-31").iterdir()]
    text = actions(folder, local=False).delete_result(name, name)[0]
    assert "only in a browser on the machine of the server" in text
    assert (folder / name).exists()


def test_a_result_that_cannot_be_deleted_says_why(folder, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.unlink", refuse)
    (name, *_) = [f"2026-01-31/{path.name}" for path in (folder / "2026-01-31").iterdir()]
    text = actions(folder).delete_result(name, name)[0]
    assert "could not be deleted (Permission denied)" in text


def test_values_are_shown_in_the_words_of_the_page(folder):
    path = next((folder / "2026-01-31").glob("hello*"))
    details = results.details_view(path)
    assert "Still head: on" in details
    assert "Head motion style: Calm" in details
    table = details.split("<tbody>")[1]
    assert "Head motion style</th><td>Calm</td>" in table
    assert "Quality</th><td>Good</td>" in table
    assert "Face</th><td>The largest</td>" in table
    assert "Audio track</th><td>Automatic</td>" in table
    assert "Turn (yaw)</th><td>Follows the voice</td>" in table
    assert not any(spec.name in details for spec in Settings.specs() if "_" in spec.name)
    assert "Part of the picture" not in details  # a setting of the other engine
