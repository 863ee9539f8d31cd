"""Packages that only some functions need: the starter engine works without them, the others name them."""

import argparse
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from sadtalker_ext.cli import evaluate
from sadtalker_ext.engines.sadtalker.entry import open_sadtalker
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
from sadtalker_ext.errors import MissingPackageError
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.system import optional_package

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
IMPORT_ONLY = """
import sys
allowed = set(sys.argv[1].split(","))
class Finder:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top not in allowed and top not in sys.stdlib_module_names:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Finder())
from sadtalker_ext.cli.main import main
sys.exit(main(sys.argv[2:]))
"""
"""Runs a command line with no other packages than those named in the first argument."""


def brought_by(requirement, found):
    """Add the names of the installed distributions that a requirement brings."""
    name = canonicalize_name(requirement.name)
    if name in found and not requirement.extras:
        return
    try:
        requires = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return
    found.add(name)
    for line in requires:
        inner = Requirement(line)
        if any(inner.marker is None or inner.marker.evaluate({"extra": e}) for e in requirement.extras or {""}):
            brought_by(inner, found)


def modules_of(distributions):
    """Top-level names of the files that the distributions install."""
    files = [file for name in distributions for file in metadata.distribution(name).files or []]
    return {file.parts[0].partition(".")[0] for file in files}


def test_the_demo_needs_only_the_packages_of_its_extra(tmp_path):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    distributions = set()
    for line in extras["starter"]:
        brought_by(Requirement(line), distributions)
    assert not distributions & {"scipy", "scikit-image", "librosa", "mediapipe", "gradio", "fastapi"}
    modules = modules_of(distributions) | {"sadtalker_ext", "cv2"}  # cv2 is in several distributions of OpenCV
    command = [sys.executable, "-c", IMPORT_ONLY, ",".join(modules), "demo", "-o", tmp_path / "v.mp4"]
    command += ["--resolution-limit", "256", "--quiet"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "v.mp4").stat().st_size > 10_000


@pytest.fixture
def without(monkeypatch):
    """Make a package impossible to find."""

    def remove(module):
        monkeypatch.setattr(optional_package, "find_spec", lambda name: None if name == module else object())

    return remove


@pytest.mark.parametrize(("module", "package"), [("scipy", "scipy"), ("skimage", "scikit-image")])
def test_the_sadtalker_engine_names_a_missing_package(without, module, package):
    without(module)
    with pytest.raises(MissingPackageError, match=rf"sadtalker needs .*{package}, .*run: pip install {package}$"):
        open_sadtalker(Runtime(), SadTalkerOptions())


def test_evaluate_names_the_missing_package_before_it_reads_the_video(without):
    without("skimage")
    options = evaluate_options(Path("absent.mp4"))
    with pytest.raises(MissingPackageError, match=r"picture quality needs .*run: pip install scikit-image$"):
        evaluate.run(options)


def evaluate_options(result):
    parser = argparse.ArgumentParser()
    evaluate.add_command(parser.add_subparsers())
    return parser.parse_args(["evaluate", str(result)])
