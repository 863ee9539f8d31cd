"""Names that Windows does not allow."""

from pathlib import Path, PureWindowsPath

import pytest

from sadtalker_ext.errors import MediaError
from sadtalker_ext.pipeline import output
from sadtalker_ext.pipeline.output import check_output, short_stem
from sadtalker_ext.system.portable_names import path_problem, portable_stem, windows_problem


@pytest.mark.parametrize(
    "name",
    ["con", "CON.mp4", "nul", "aux.tar.gz", "com1.mp4", "LPT9", "lpt\u00b2.mp4", "prn .mp4", "a:b.mp4", "a?.mp4", "a<b",
     "a|b", 'a"b', "a*b", "ends.", "ends ", "a\tb"],
)  # fmt: skip
def test_names_that_windows_refuses(name):
    assert windows_problem(name)
    assert path_problem(Path("folder") / name, windows=True) or "/" in name
    assert path_problem(Path("folder") / name, windows=False) == ""
    changed = portable_stem(name)
    assert windows_problem(changed) == ""
    assert windows_problem(f"{changed}_voice.mp4") == ""


@pytest.mark.parametrize(
    "name", ["me.mp4", "console.mp4", "\u4e2d\u6587.mp4", "com.mp4", "com10", ".hidden", "a b.mp4", "lpt"]
)
def test_usual_names(name):
    assert windows_problem(name) == ""
    assert portable_stem(name) == name


def test_drive_letters_are_no_problem():
    assert path_problem(PureWindowsPath("C:\\Users\\me\\a.mp4"), windows=True) == ""  # type: ignore[arg-type]
    assert "device" in path_problem(PureWindowsPath("C:\\Users\\aux\\a.mp4"), windows=True)  # type: ignore[arg-type]


def test_output_with_a_reserved_name_is_refused_on_windows(tmp_path, monkeypatch):
    monkeypatch.setattr(output, "path_problem", lambda path: path_problem(Path(path.name), windows=True))
    with pytest.raises(MediaError, match=r"nul\.mp4 cannot be written \(nul is the name of a device in Windows\)"):
        check_output(tmp_path / "nul.mp4", ())
    check_output(tmp_path / "null.mp4", ())


def test_names_of_results_are_portable():
    assert short_stem("what?") == "what_"
    assert short_stem("con") == "_con"
    assert short_stem("a: b.") == "a_ b"
