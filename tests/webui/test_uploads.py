"""Values of requests resolve to uploaded files only, in every form."""

import asyncio
import base64
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import pytest

from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.webui import uploads
from sadtalker_ext.webui.actions import PageActions, store_upload
from sadtalker_ext.webui.compat_inputs import audio_input, picture_input, video_input
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.uploads import (
    check_values,
    display_names,
    is_plain_path,
    received_file,
    relative_name,
    resolve_inside,
)

SECRET = "secret-0b6f"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The upload folder with one upload; a secret file is beside it, in the working directory."""
    made = tmp_path / "uploads"
    (made / "a1").mkdir(parents=True)
    (made / "a1" / "voice.wav").write_text("sound")
    (tmp_path / "secret.wav").write_text(SECRET)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(made))
    monkeypatch.chdir(tmp_path)
    return made


def forms(path):
    """Yield a path in every form in which Gradio passes a file."""
    yield path
    yield [path]
    yield (path,)
    yield {"name": path, "is_file": True, "data": None}
    yield {"name": path, "is_file": True, "data": "data:text/plain;base64,YQ=="}
    yield {"path": path}
    yield {"path": path, "meta": {"_type": "gradio.FileData"}, "url": "http://127.0.0.1/file=x", "is_stream": True}
    yield [{"name": path, "is_file": True, "data": None}]
    yield SimpleNamespace(path=path)
    yield SimpleNamespace(name=path)
    yield [SimpleNamespace(path=path)]


def hostile_paths(folder):
    outside = folder.parent / "secret.wav"
    link = folder / "a1" / "link.wav"
    linked_folder = folder / "linked"
    if not link.exists():
        link.symlink_to(outside)
        linked_folder.symlink_to(folder.parent, target_is_directory=True)
        (folder / "circle").symlink_to(folder / "circle")
        os.mkfifo(folder / "pipe")
    return [
        str(outside), "secret.wav", "./secret.wav", "/etc/passwd", "/dev/zero", "/proc/self/environ", str(link),
        str(linked_folder / "secret.wav"), str(folder / "circle"), str(folder / "pipe"), str(folder),
        str(folder / "a1"),
        f"{folder}/../secret.wav", f"{folder}/a1/../../secret.wav", "../secret.wav", "a1/../../secret.wav",
        f"{folder}/a1/../a1/voice.wav", f"{folder}x/secret.wav", f"//{outside}", f"/{folder}/a1/voice.wav",
        f"file://{outside}", "http://127.0.0.1/x", "HTTPS://example.com/x", "ftp://x/y", "\\\\server\\share\\x",
        "\\\\.\\pipe\\x", "\\\\?\\C:\\x", "//server/share/x", f"{outside}\0", f"{folder}/a1/voice.wav\0.png", "\0", "~",
        "~/secret.wav", "a" * 5000, "missing.wav", str(folder / "missing.wav"), ".", "..", "/", "\n",
        "\udcff", " ",
    ]  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links and pipes")
def test_nothing_outside_the_folder_is_accepted(folder):
    tried = 0
    for path in hostile_paths(folder):
        for form in forms(path):
            with pytest.raises(MediaError) as caught:
                received_file(form)
            assert str(caught.value) == uploads.NOT_UPLOADED
            tried += 1
    assert tried > 400


def test_an_upload_is_accepted_in_every_form(folder):
    expected = (folder / "a1" / "voice.wav").resolve()
    for path in (str(expected), str(folder / "a1" / "voice.wav"), "a1/voice.wav"):
        for form in forms(path):
            assert received_file(form) == expected
    assert received_file(expected) == expected
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        assert received_file(file) == Path(file.name).resolve()
    assert relative_name(expected) == "a1/voice.wav"
    assert [received_file(nothing) for nothing in (None, "", [], ())] == [None] * 4


def test_the_upload_folder_may_be_a_link(folder, tmp_path, monkeypatch):
    other = tmp_path / "other name"
    other.symlink_to(folder, target_is_directory=True)
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(other))
    expected = (folder / "a1" / "voice.wav").resolve()
    assert received_file(str(other / "a1" / "voice.wav")) == received_file(str(expected)) == expected
    assert relative_name(expected) == "a1/voice.wav"


@pytest.mark.parametrize(
    "given",
    [
        5, 0.5, True, b"/etc/passwd", b"", {}, {"name": "x"}, {"is_file": True}, {"path": 5}, {"path": ["/etc/passwd"]},
        {"name": ["/etc/passwd"], "is_file": True}, {"name": None, "is_file": True, "data": "x"}, {"data": 5}, object,
        {"data": "/etc/passwd"}, {"data": "file:///etc/passwd"}, {"data": "data:,x"}, {"data": "data:x;base64,%%%"},
        {"data": "data:audio/wav;base64,YQ=", "name": "a.wav"}, "data:", "data:image/png;base64,ä", "data:image/png,xx",
        {"image": "/etc/passwd", "mask": None}, [None], [{}], [[]], [["/etc/passwd"]], ["a", "b"], [{"path": "a"}] * 2,
    ],
    ids=repr,
)  # fmt: skip
def test_other_values_are_refused_with_a_sentence(folder, given):
    if given == [None]:
        assert received_file(given) is None
        return
    with pytest.raises(MediaError, match=r"^[A-Z].*\.$"):
        received_file(given)


def test_content_is_saved_unaltered(folder):
    for content, name in ((b"\x00\xffabc", "voice.wav"), (b"", "empty.mp3"), (b"x" * 100_000, "說話.mp3")):
        data = "data:audio/wav;codecs=1;base64," + base64.b64encode(content).decode()
        path = received_file({"name": name, "data": data, "is_file": False})
        assert (path.read_bytes(), path.name) == (content, name)
        assert path.is_relative_to(folder.resolve())
        assert received_file({"name": name, "data": data}) == path
    assert received_file("data:image/png;base64,YQ==").name == "file.png"
    assert received_file("data:;base64,YQ==").name == "file"
    assert not list(folder.rglob("part_*"))


@pytest.mark.parametrize(
    "name",
    ["../../x.wav", "/etc/cron.d/x", "..", ".", "...", "", "C:\\x\\y.wav", "..\\x", ".htaccess", "a\0b", "nul",
     "CON.wav", "x" * 300 + ".wav", "說" * 300, "a/b/..", "a:b", "<img src=x>"],
)  # fmt: skip
def test_names_of_uploads_stay_inside_the_folder(folder, name):
    path = received_file({"name": name, "data": "data:audio/wav;base64,YQ=="})
    assert path.read_bytes() == b"a"
    assert path.parent.parent == folder.resolve()
    assert len(path.name.encode()) <= uploads.LONGEST_NAME_BYTES
    assert not path.name.startswith(".")
    assert not set(path.name) & set('<>:"/\\|?*\0')


def test_messages_show_names_that_the_user_knows():
    portrait, voice, reference = Path("/t/hello.png"), Path("/t/tmpab12.wav"), Path("/t/file.mp4")
    names = display_names(Inputs(portrait, voice, None, reference))
    assert names == {portrait: "hello.png", voice: "", reference: ""}
    error = MediaError("The ", FileRef("voice", voice), " and the ", FileRef("portrait", portrait), " do not match")
    assert error.describe(names) == "The voice and the portrait hello.png do not match"


def test_further_folders_can_be_allowed(folder, tmp_path):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / "voice.wav").touch()
    assert received_file(str(shared / "voice.wav"), (shared,)) == (shared / "voice.wav").resolve()
    with pytest.raises(MediaError):
        received_file(str(tmp_path / "secret.wav"), (shared,))
    with pytest.raises(MediaError):
        resolve_inside("voice.wav", (folder, shared))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("C:\\Temp\\gradio\\a\\x.wav", True), ("C:/Temp/x.wav", True), ("a/x.wav", True), ("console.wav", True),
        ("C:\\Temp\\..\\x", False), ("C:\\Temp\\.. \\x", False), ("\\\\host\\share\\x", False), ("//host/share", False),
        ("\\\\.\\C:", False), ("\\\\?\\C:\\x", False), ("/\\host\\x", False), ("C:x.wav", False), ("a\\x.wav:s", False),
        ("C:\\Temp\\nul", False), ("C:\\Temp\\CON.wav", False), ("a/aux .txt", False), ("com1", False),
        ("LPT¹.x", False), ("conin$", False), ("a\x1fb", False),
    ],
)  # fmt: skip
def test_windows_network_paths_and_devices(name, plain):
    assert is_plain_path(name, windows=True) is plain


def test_values_are_checked_at_every_depth(folder):
    upload = str(folder / "a1" / "voice.wav")
    check_values([{"path": upload}, [{"a": [{"name": upload, "is_file": True}]}], "/etc/passwd", 5, None, {"name": 1}])
    other = "/etc/passwd"
    for bad in ({"path": other}, {"name": other, "is_file": True}, {"path": "http://x/"}, {"path": [1]}):
        for nested in (bad, [bad], {"value": bad}, [[{"a": {"b": [bad]}}]], [1, "x", bad]):
            with pytest.raises(MediaError):
                check_values([nested])
    deep = []
    for _ in range(100_000):
        deep = [deep]
    check_values(deep)


def components(folder):
    import gradio

    with gradio.Blocks(analytics_enabled=False) as blocks:
        picture_input("picture")
        audio_input("sound")
        video_input("Video", "video")
    named = {"picture", "sound", "video", "sound_microphone"}
    return [block for block in blocks.blocks.values() if getattr(block, "elem_id", None) in named]


@pytest.mark.skipif(os.name == "nt", reason="needs symbolic links and pipes")
def test_components_accept_uploads_only(folder):
    import gradio

    found = components(folder)
    assert len(found) >= 3
    for component in found:
        for path in hostile_paths(folder):
            for form in (path, {"name": path, "is_file": True, "data": None}, SimpleNamespace(path=path)):
                with pytest.raises(gradio.Error):
                    component.preprocess(form)
        upload = str((folder / "a1" / "voice.wav").resolve())
        assert component.preprocess({"name": upload, "is_file": True}) == upload
    kept = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    assert [path for path in kept if SECRET in path.read_text("utf-8", errors="replace")] == []


def run(coroutine):
    """Return its result; in another thread, because the browser driver may run a loop in this one."""
    with ThreadPoolExecutor() as pool:
        return pool.submit(asyncio.run, coroutine).result()


def test_components_download_nothing(folder):
    import gradio

    for component in components(folder):
        move = getattr(component, "async_move_resource_to_block_cache", None)
        if move is not None:
            for address in ("http://127.0.0.1:9/x", "https://example.com/x"):
                with pytest.raises(gradio.Error):
                    run(move(address))
            upload = str(folder / "a1" / "voice.wav")
            assert Path(run(move(upload))).samefile(upload)


def test_event_handlers_answer_with_a_sentence(folder, tmp_path):
    import gradio

    actions = PageActions(PageContext(JobQueue(), lambda: tmp_path, lambda: (tmp_path,)))
    for path in ("/etc/passwd", str(tmp_path / "secret.wav"), "http://127.0.0.1/x", "../secret.wav"):
        assert uploads.NOT_UPLOADED in actions.show_faces(path)[0]
        upload = str(folder / "a1" / "voice.wav")
        forms = (path, upload, 0, None, "eyes"), (upload, path, 0, None, "eyes"), (upload, upload, 2, path, "eyes")
        for form in forms:
            job, shown = actions.generate("", *form)
            assert job == ""
            assert uploads.NOT_UPLOADED in shown
        with pytest.raises(gradio.Error):
            store_upload(path)
    assert store_upload(str(folder / "a1" / "voice.wav")) == "a1/voice.wav"
    assert store_upload(None) == ""


@pytest.mark.parametrize(
    "mirror", ["http://127.0.0.1:1/", "https://evil.example/", "", None, ["github"], {"a": 1}, "GitHub"]
)
def test_only_named_mirrors_are_downloaded_from(tmp_path, monkeypatch, mirror):
    context = PageContext(JobQueue(), lambda: tmp_path, lambda: (tmp_path,))
    monkeypatch.setattr(context.download, "start", lambda *_: pytest.fail("a download started"))
    shown, *_ = PageActions(context).start_download("sadtalker", mirror)
    assert "Choose one of the sources under Download from" in shown


def test_a_named_mirror_is_downloaded_from(tmp_path, monkeypatch):
    started = []
    context = PageContext(JobQueue(), lambda: tmp_path, lambda: (tmp_path,))
    monkeypatch.setattr(context.download, "start", lambda *arguments: started.append(arguments[-1]))
    PageActions(context).start_download("sadtalker", "hf-mirror")
    assert started == ["hf-mirror"]


def test_a_full_disk_is_named_and_leaves_no_part(folder, monkeypatch):
    def refuse(*_):
        raise OSError(28, "No space left on device")

    before = sorted(folder.rglob("*"))
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(MediaError, match="Free some space on its disk, then choose the file again"):
        uploads.received_file("data:image/png;base64,AAAA")
    assert [path for path in folder.rglob("*") if path.is_file() and path not in before] == []
