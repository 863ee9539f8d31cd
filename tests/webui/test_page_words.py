"""Messages of the package as the page shows them: no command lines, names of settings, or temporary folders."""

import ast
import re
import tempfile
from pathlib import Path

import pytest
from browser_pages import ROOT

pytest.importorskip("gradio")

from sadtalker_ext.errors import SettingsError, WeightsError
from sadtalker_ext.faces import find
from sadtalker_ext.faces.find import SearchResult, choose_face
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui.page_words import page_text
from sadtalker_ext.weights.catalog import MAPPING_FULL, PACKAGED_256
from sadtalker_ext.weights.files import require_checkpoints

NOT_ON_PAGES = ("cli", "training", "metrics", "api", "mesh")
"""Packages whose messages no page shows."""
VALUE = "7"
"""Stands for each inserted value of a message."""


def literal(node):
    """Return the text of a string expression, values replaced; empty for other expressions."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(part.value if isinstance(part, ast.Constant) else VALUE for part in node.values)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return literal(node.left) + literal(node.right)
    return VALUE if isinstance(node, ast.Call) else ""


def messages():
    """Yield file, line and text of each error that the package raises for users."""
    for path in sorted((ROOT / "sadtalker_ext").rglob("*.py")):
        if path.relative_to(ROOT / "sadtalker_ext").parts[0] in NOT_ON_PAGES:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            is_error = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id.endswith("Error")
            if is_error and node.func.id not in ("ValueError", "TypeError", "AttributeError", "OSError"):
                text = "".join(map(literal, node.args))
                if text.strip(VALUE):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", text


NOT_SEEN = (
    "webui/page_server.py", "webui/page_assets.py", "system/listen_socket.py", "webui/standalone.py",
    "webui/share_link.py", "weights/convert_", "weights/random_weights.py", "weights/measure_networks.py",
    "weights/external_networks.py", "pipeline/evaluate", "pipeline/batch.py", "system/request_guard.py",
)  # fmt: skip
"""Files whose errors end the program before there is a page, or belong to other commands."""


@pytest.mark.parametrize("entries", [(PACKAGED_256,), (PACKAGED_256, MAPPING_FULL)])
@pytest.mark.parametrize("folders", [1, 2])
def test_missing_checkpoints_point_to_the_panel(entries, folders, tmp_path):
    with pytest.raises(WeightsError) as caught:
        require_checkpoints(entries, [tmp_path / str(number) for number in range(folders)])
    shown = page_text(caught.value.describe({}))
    assert shown.endswith(f"{folders - 1}; download it under Engine.")
    assert all(shown.count(entry.name) == 1 for entry in entries)


def test_no_message_names_flags_commands_or_settings():
    names = [spec.name for spec in Settings.specs() if "_" in spec.name]
    found = [(place, text) for place, text in messages() if not any(part in place for part in NOT_SEEN)]
    assert len(found) > 80
    for place, text in found:
        shown = page_text(text)
        assert not re.search(r"(?<![\w-])--[a-z]|pip install|apt-get|sadtalker [a-z]+ [a-z]", shown), (place, shown)
        assert not any(name in shown for name in names), (place, shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The disk of the output a.mp4 is full: free some space or choose another folder",
         "The disk is full, so the video was not saved. Free some space, then press Generate again."),
        ("50 jobs are waiting already; try again later", "50 videos are waiting already. Try again later."),
        ("The setting restore_strength is 3, but it accepts a number from 0 to 1",
         "The setting Face restorer strength is 3, but it accepts a number from 0 to 1."),
        ("The face box 1,2,8,9 is too small, at least 30 pixels on each side are needed: choose a larger box, or set "
         "resolution_limit to 320 or more (this one has 400 x 300 px)",
         "The box is too small. Draw a larger one around the face, or set Largest picture to 320 or more."),
        ("The face box 1,2,8,9 is too small, at least 30 pixels on each side are needed: choose a larger box, or "
         "choose a larger picture (this one has 400 x 300 px)",
         "The box is too small. Draw a larger one around the face, or choose a larger picture."),
        ("There is no voice named 'x'; the command sadtalker voices lists all",
         "There is no voice named 'x'; the field Reading voice lists all."),
        ("The voice v.wav cannot be read (ffmpeg: Invalid data (7) found): export it again, for example as WAV",
         "The voice v.wav cannot be read: export it again, for example as WAV."),
        ("The portrait a.png is damaged or incomplete (Truncated File Read): export or download it again",
         "The portrait a.png is damaged or incomplete. Export or download it again, or choose another one."),
        ("a.pth could not be fetched from https://x.org/a: [Errno -2] Name or service not known; try again",
         "a.pth could not be downloaded: the server was not found, so that this machine may have no connection to the "
         "Internet. Try again, which continues where it stopped, or choose another source under Download from."),
        ("[Errno 13] Permission denied", "Permission denied."),
        ("[Errno 28] No space left on device: '/tmp/x'", "The disk is full. Free some space, then try again."),
        ("Internal error (KeyError: '/home/me'); the log has the details",
         "An error in the program stopped the video (KeyError). The log of the server has the details."),
    ],
)  # fmt: skip
def test_messages_are_reworded(text, shown):
    assert page_text(text) == shown


@pytest.mark.parametrize("remark", ["", "It cannot be used (no weights (404)): connect to the Internet"])
def test_a_picture_without_a_face_asks_for_a_box(monkeypatch, remark):
    import numpy as np

    monkeypatch.setattr(find, "search_faces", lambda _: SearchResult((), (remark,) if remark else ()))
    with pytest.raises(Exception, match="No face was found") as raised:
        choose_face(np.full((200, 300, 3), 90, np.uint8))
    expected = "No face was found. Draw a box around it on the picture, or choose a picture with a frontal face."
    assert page_text(str(raised.value)) == expected


def test_temporary_folders_are_not_shown_but_others_are(monkeypatch, tmp_path):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "uploads"))
    for folder in (Path(tempfile.gettempdir()) / "x1", tmp_path / "uploads" / "abc"):
        assert page_text(f"The file {folder}/voice.wav cannot be read") == "The file voice.wav cannot be read."
    assert page_text("The results are in /srv/outputs/SadTalker") == "The results are in /srv/outputs/SadTalker"
    assert page_text("See https://example.org/a/b.") == "See https://example.org/a/b."


def test_every_setting_is_named_by_its_label():
    for spec in Settings.specs():
        with pytest.raises(SettingsError) as raised:
            spec.read(object())
        assert f"The setting {spec.label} is" in page_text(str(raised.value))
