"""The notebook for Colab: its cells run with small sizes, and its command lines are understood."""

import json
import re
import shlex
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from sadtalker_ext.cli.main import build_parser
from sadtalker_ext.video.read import probe

NOTEBOOK = Path(__file__).parents[1] / "docs" / "sadtalker_colab.ipynb"
CONTENT = json.loads(NOTEBOOK.read_text("utf-8"))
NOT_HERE = {"install", "networks", "ui"}
"""Tags of cells that install, download or serve."""
SMALL = """
import soundfile

samples, rate_hz = soundfile.read(demo_voice(), stop=24_000)
soundfile.write("short.wav", samples, rate_hz)
VOICE, RESOLUTION = Path("short.wav"), 256
"""
CELL_TIMEOUT_S = 300


def tags(cell):
    return set(cell["metadata"].get("tags", ()))


def source(cell):
    return "".join(cell["source"])


def test_no_output_is_stored():
    cells = [cell for cell in CONTENT["cells"] if cell["cell_type"] == "code"]
    assert len(cells) > 8
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)


def test_every_command_line_is_understood():
    lines = [line for cell in CONTENT["cells"] for line in source(cell).splitlines() if line.startswith("!sadtalker ")]
    seen = set()
    for line in lines:
        words = shlex.split(line.replace("{PORTRAIT}", "a.png").replace("{VOICE}", "a.wav"))[1:]
        seen.add(build_parser().parse_args(words).command)
    assert seen == {"mesh", "weights", "ui"}


@pytest.mark.parametrize("address", ["git+https://example.org/owner/repository.git", "file:///content/sadtalker.zip"])
def test_an_address_is_installed_with_extras(address):
    cell = next(source(cell) for cell in CONTENT["cells"] if "install" in tags(cell))
    code = "\n".join(line for line in cell.splitlines() if not line.startswith("%"))
    with pytest.raises(ValueError, match="Set SOURCE"):
        exec(code, {})
    names = {}
    exec(code.replace('SOURCE = ""', f"SOURCE = {address!r}"), names)
    needed = Requirement(names["ENGINES"])
    assert (needed.name, needed.extras, needed.url) == ("sadtalker-ext", {"sadtalker", "tts"}, address)


def test_the_notebook_runs(tmp_path):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = []
    for cell in notebook.cells:
        if not tags(cell) & NOT_HERE:
            cells.append(cell)
        if "parameters" in tags(cell):
            cells.append(nbformat.v4.new_code_cell(SMALL))
    notebook.cells = cells
    nbclient.NotebookClient(
        notebook, timeout=CELL_TIMEOUT_S, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    results = {path.name: path for path in (tmp_path / "outputs").iterdir()}
    assert set(results) == {
        "demo.mp4", "mine.mp4", "text.mp4", "orbit.mp4", "keyframes.mp4", "face.glb", "face.wav",
        "face.json", "shaded.mp4",
    }  # fmt: skip
    for name in ("demo.mp4", "mine.mp4", "orbit.mp4", "keyframes.mp4"):
        info = probe(results[name])
        assert (info.width_px, info.has_audio) == (256, True)
    shown = json.dumps([cell.get("outputs", []) for cell in notebook.cells])
    assert len(re.findall("data:video/mp4;base64", shown)) == 6
    assert "Not in Colab" in shown
