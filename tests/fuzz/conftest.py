"""Generated tests of untrusted input: their marker ``fuzz``, and the folders that they use."""

from pathlib import Path

import pytest
from PIL import Image

from sadtalker_ext.cli.demo import demo_portrait

pytest.importorskip("hypothesis", reason="hypothesis is not installed")
pytest.register_assert_rewrite("fuzz_cases")

FOLDER = Path(__file__).parent
PORTRAIT_PX = 160


def pytest_collection_modifyitems(items):
    """Mark the tests of this folder."""
    for item in items:
        if item.path.parent == FOLDER:
            item.add_marker(pytest.mark.fuzz)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    """Folders for the cases, with a small portrait; temporary files of the program go to one of them."""
    import tempfile

    from fuzz_cases import Place

    made = Place(tmp_path_factory.mktemp("fuzz"))
    picture = Image.open(demo_portrait()).convert("RGB").resize((PORTRAIT_PX, PORTRAIT_PX), Image.LANCZOS)
    picture.save(made.folder / "portrait.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(made.temporary))
        patch.chdir(made.folder)
        yield made


@pytest.fixture(autouse=True)
def without_leftovers(place):
    """Remove the files that a failed case of another test left."""
    yield
    for path in place.folder.glob("*.*"):
        if path.is_file() and path.name not in ("portrait.png", "secret.png"):
            path.unlink()
