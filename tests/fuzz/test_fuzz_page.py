"""Values that requests send to the handlers of the page."""

import inspect

import pytest
from fuzz_cases import check_message, property_of, time_limit
from fuzz_values import SPECS, texts, values
from hypothesis import strategies as st

pytest.importorskip("gradio", reason="gradio is not installed")
import gradio as gr

from sadtalker_ext.errors import MediaError
from sadtalker_ext.pipeline.job_queue import JobQueue
from sadtalker_ext.webui.actions import JobForm, PageActions
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.uploads import FOLDER_VARIABLE, check_values, received_file, upload_folder

SECRET = "contents-4b1f"


@pytest.fixture(scope="module")
def uploads(place):
    """The upload folder, with a portrait; a secret lies beside it."""
    folder = place.folder / "uploads"
    folder.mkdir()
    (folder / "portrait.png").write_bytes((place.folder / "portrait.png").read_bytes())
    place.write("secret.png", SECRET.encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="module")
def actions(place, uploads):
    queue = JobQueue()
    yield PageActions(PageContext(queue, lambda: place.folder / "results", tuple))
    queue.close()


names = st.sampled_from(
    [
        "portrait.png",
        "../secret.png",
        "secret.png",
        "/etc/passwd",
        "uploads/../../secret.png",
        ".",
        "",
        "portrait.png/",
        "./portrait.png",
    ]
)
files = st.one_of(
    names,
    names.map(lambda name: {"path": name}),
    names.map(lambda name: {"name": name, "is_file": True}),
    names.map(lambda name: [{"path": name}]),
    texts.map(lambda text: {"name": text, "data": text}),
    texts.map(lambda text: f"data:image/png;base64,{text}"),
    values,
    st.fixed_dictionaries({"path": values, "name": values, "is_file": values, "data": values}),
)


@property_of(2, given=files)
def test_only_uploads_are_received(uploads, given):
    """No value gives a path outside the upload folder, and no other error than MediaError."""
    for read in (received_file, check_values):
        try:
            path = read(given)
        except MediaError as error:
            check_message(str(error))
            continue
        if path is not None:
            assert path.is_relative_to(upload_folder().resolve())
            assert SECRET.encode() not in path.read_bytes()


FORM = {"portrait": files, "voice": files, "reference": files}
anything = values | texts


@property_of(2, data=st.data())
def test_forms_of_jobs(actions, data):
    """A job is queued, or a message says what is wrong."""
    form = [data.draw(FORM.get(name, anything)) for name in JobForm._fields]
    chosen = [data.draw(st.just(spec.default) | values) for spec in SPECS.values()]
    with time_limit():
        job, view = actions.generate(data.draw(anything), *form, *chosen)
        check_view(view)
        if job:
            check_view(actions.interrupt(job))


def handlers(actions):
    """Return every other public method, with the number of its arguments."""
    found = inspect.getmembers(actions, inspect.ismethod)
    return {
        name: (method, len(inspect.signature(method).parameters))
        for name, method in found
        if not name.startswith("_") and name != "generate"
    }


@property_of(1, data=st.data())
def test_other_handlers(actions, data):
    """They show a message for every value of a request."""
    methods = handlers(actions)
    assert {"show_faces", "interrupt", "poll", "show_result", "start_download"} <= set(methods)
    value = anything | files | st.sampled_from(["starter", "sadtalker"])
    with time_limit():
        for name, (method, count) in methods.items():
            given = [data.draw(value, label=name) for _ in range(count)]
            try:
                check_view(method(*given))
            except gr.Error as error:  # shown by the page
                check_message(str(error))


def check_view(view):
    assert SECRET not in str(view)
    assert "Traceback" not in str(view)
