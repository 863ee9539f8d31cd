"""Outputs that cannot be written: links to nothing and files in the place of folders are named."""

from pathlib import Path

import pytest

from sadtalker_ext.cli.main import main
from sadtalker_ext.errors import MediaError, WeightsError
from sadtalker_ext.pipeline.output import check_output, output_folder
from sadtalker_ext.system.atomic_output import write_text
from sadtalker_ext.system.path_problems import make_folder, write_problem

PACKAGE = Path(__file__).parents[2] / "sadtalker_ext"
WITH_OWN_MESSAGE = {"pipeline/contact_sheet.py", "video/write.py", "weights/fetch.py", "webui/actions.py",
                    "webui/uploads.py", "system/path_problems.py"}  # fmt: skip


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """Return a link to a folder that does not exist."""
    link = tmp_path / "results"
    link.symlink_to(tmp_path / "removed" / "disk", target_is_directory=True)
    return link


@pytest.mark.parametrize("place", ["", "new", "new/deeper"])
def test_a_folder_behind_a_broken_link_is_refused_by_the_name_of_the_link(broken: Path, place: str) -> None:
    with pytest.raises(WeightsError, match="cannot be created \\(results is a link to a place that does not exist\\)"):
        make_folder(broken / place, WeightsError)
    assert not broken.exists()


def test_a_file_behind_a_broken_link_is_refused_by_the_name_of_the_link(broken: Path) -> None:
    for write in (lambda: write_text(broken, "text"), lambda: check_output(broken.rename(broken.parent / "a.mp4"), ())):
        with pytest.raises(MediaError, match="is a link to a place that does not exist"):
            write()


def test_a_file_in_the_place_of_a_folder_is_named(tmp_path: Path) -> None:
    file = tmp_path / "run"
    file.write_text("content", encoding="utf-8")
    with pytest.raises(MediaError, match="run is a file, not a folder"):
        make_folder(file)
    with pytest.raises(MediaError, match="run is a file, not a folder"), output_folder(file / "talking.mp4"):
        pass
    assert file.read_text(encoding="utf-8") == "content"


def test_other_errors_have_the_words_of_the_system(tmp_path: Path) -> None:
    assert write_problem(tmp_path / "a", FileNotFoundError(2, "No such file or directory")) == (
        "No such file or directory"
    )
    assert write_problem(tmp_path, ValueError("embedded null\nbyte")) == "embedded null byte"


@pytest.mark.parametrize("command", ["practice --clips 1 -o", "pose_cvae --steps 1 --out", "all --config tiny --out"])
def test_training_commands_refuse_an_unusable_folder(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "run"
    file.touch()
    assert main(["train", *command.split(), str(file)]) == 2
    assert "run is a file, not a folder" in capsys.readouterr().err


def test_no_other_module_creates_output_folders_without_a_message() -> None:
    makers = {path.relative_to(PACKAGE).as_posix() for path in PACKAGE.rglob("*.py") if ".mkdir(parents" in
              path.read_text(encoding="utf-8")}  # fmt: skip
    assert makers == WITH_OWN_MESSAGE
