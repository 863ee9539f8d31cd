"""The page's JavaScript and CSS: found in a checkout and in an installed wheel, an error if they are missing."""

import json
import os
import random
import re
import shutil
import subprocess
import sys
import urllib.request
from importlib.util import find_spec

import pytest
from browser_pages import ROOT, serve

from sadtalker_ext.errors import MissingPackageError
from sadtalker_ext.webui import page_assets
from sadtalker_ext.webui.page_assets import page_script, page_style

BUILD_INPUTS = ("pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE", "constraints.txt", "style.css")


def test_a_checkout_serves_every_file():
    script = page_script()
    files = sorted(ROOT.glob("javascript/*.js"))
    assert len(files) > 1
    for path in files:
        assert path.read_text("utf-8") in script
    assert page_style() == (ROOT / "style.css").read_text("utf-8")


def test_selectors_have_no_list_inside_parentheses():
    """Gradio 4 adds a prefix after each comma of a selector, also inside ``:has(a, b)``."""
    style = re.sub(r"/\*.*?\*/", "", page_style(), flags=re.DOTALL)
    selectors = re.findall(r"([^{}]+)\{", style)
    assert len(selectors) > 50
    for selector in selectors:
        assert not re.search(r"\([^()]*(?:\([^()]*\)[^()]*)*,", selector), selector


SHORTHANDS = {"border", "background", "padding", "margin", "font", "flex", "inset"}
"""Properties that stand for several others, whose names begin in the same way."""


def test_no_property_with_a_variable_is_replaced_in_part():
    """Gradio 4 rewrites the rules, and browsers then leave out a property such as ``border: 1px solid var(--x)`` of
    which the same rule sets a part, such as ``border-left-width``."""
    for body in re.findall(r"{([^{}]*)}", page_style()):
        values = dict(declaration.strip().split(":", 1) for declaration in body.split(";") if ":" in declaration)
        for name in (name for name, value in values.items() if "var(" in value and name in SHORTHANDS):
            parts = {other for other in values if other.startswith(f"{name}-")} - {"border-radius", "border-collapse"}
            assert not parts, body


@pytest.mark.parametrize("read", [page_script, page_style])
def test_missing_assets_are_an_error_with_a_remedy(tmp_path, monkeypatch, read):
    monkeypatch.setattr(page_assets, "PACKAGED", tmp_path / "assets")
    monkeypatch.setattr(page_assets, "REPOSITORY", tmp_path)
    with pytest.raises(MissingPackageError, match="missing from this installation; install sadtalker-ext again"):
        read()


def test_the_scripts_load_in_any_order_and_twice(browser):
    """Hosts load every file of the folder, in any order, and again after Reload UI."""
    scripts = [path.read_text("utf-8") for path in sorted(ROOT.glob("javascript/*.js"))]
    page = browser.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    names = set()
    orders = [random.Random(seed).sample(scripts, len(scripts)) for seed in range(12)]
    for order in (scripts, scripts[::-1], *orders):
        page.goto("about:blank")
        for script in (*order, *order):
            page.evaluate(f"() => {{ {script} }}")
        names.add(page.evaluate("Object.keys(window.sadtalkerUi).sort().join()"))
        assert page.evaluate("window.sadtalkerUi.updaters.length") == 8
        assert page.evaluate("typeof window.switch_to_sadtalker") == "function"
    page.close()
    assert errors == []
    assert len(names) == 1


def can_build_wheels():
    return bool(find_spec("setuptools") and (find_spec("setuptools.command.bdist_wheel") or find_spec("wheel")))


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The package installed from a wheel that was built from a copy of the sources."""
    if not can_build_wheels():
        pytest.skip("building a wheel needs setuptools 70.1, or an older one and the package wheel")
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    ignore = shutil.ignore_patterns("__pycache__")
    for folder in ("sadtalker_ext", "javascript"):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignore)
    for name in BUILD_INPUTS:
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    offline = ["-q", "--no-deps", "--no-index"]
    subprocess.run([*pip, "wheel", *offline, "--no-build-isolation", "-w", source / "dist", source], check=True)
    (wheel,) = (source / "dist").glob("*.whl")
    subprocess.run([*pip, "install", *offline, "--target", target, wheel], check=True)
    shutil.rmtree(source)
    return target


@pytest.fixture(scope="module")
def wheel_server(installed, tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel server")
    environment = {"PYTHONPATH": str(installed), "SADTALKER_INSTALLED": str(installed)}
    check = "import os, sadtalker_ext; assert sadtalker_ext.__file__.startswith(os.environ['SADTALKER_INSTALLED'])"
    subprocess.run([sys.executable, "-c", check], env={**os.environ, **environment}, cwd=folder, check=True)
    arguments = ("-m", "sadtalker_ext", "ui", "-o", folder / "videos", "--device", "cpu")
    server = serve(folder, *arguments, environment=environment)
    yield server
    server.close()


def test_a_wheel_has_exactly_the_assets_of_the_repository(installed):
    assets = installed / "sadtalker_ext" / "webui" / "assets"
    names = {path.relative_to(assets).as_posix() for path in assets.rglob("*") if path.is_file()}
    assert names == {"style.css", *(f"javascript/{path.name}" for path in ROOT.glob("javascript/*.js"))}


def test_a_wheel_serves_page_script_and_style(wheel_server):
    with urllib.request.urlopen(wheel_server.address, timeout=60) as response:
        page = response.read().decode()
    with urllib.request.urlopen(f"{wheel_server.address}config", timeout=60) as response:
        config = json.load(response)
    assert "SadTalker" in page
    scripts = " ".join(str(entry.get("js")) for entry in config["dependencies"])
    assert "switch_to_sadtalker" in scripts
    assert "#tab_sadtalker .st-bar" in str(config["css"])


def test_a_page_from_a_wheel_runs_its_script(wheel_server, visit):
    visitor = visit(wheel_server.address)
    visitor.portrait()
    visitor.page.wait_for_selector("#sadtalker_faces .st-face-box.st-chosen", state="attached")
    display = "getComputedStyle(document.querySelector('.st-hidden')).display"
    assert visitor.page.evaluate(display) == "none"
    assert visitor.errors == []
