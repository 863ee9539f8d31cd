"""Layers: imports point down and form no circle; frameworks stay in the front ends; files and functions are short."""

import ast
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sadtalker_ext"

LAYERS = (
    {"errors", "constants", "arrays"},
    {"assets", "models", "puppet", "geometry", "setting_spec", "system"},
    {"weights", "metrics", "mesh", "settings", "runtime", "ffmpeg", "sound_source"},
    {"faces", "audio", "video", "tts"},
    {"engines"},
    {"pipeline", "training"},
    {"cli", "api", "webui"},
    {"__main__"},
)
"""From the bottom up. A unit may import units of lower layers and itself; from the package's root only its version."""

ONLY_IN = {
    "gradio": {"webui"},
    "modules": {"webui"},
    "launch": {"webui"},
    "fastapi": {"api", "webui"},
    "argparse": {"cli"},
    "typer": set(),
}
HEAVY = {"torch", "librosa", "kornia", "cv2", "scipy", "skimage", "face_alignment", "gradio", "fastapi"}
LIGHT_UNITS = {
    "errors", "constants", "system", "ffmpeg", "setting_spec", "settings", "runtime", "cli", "assets", "__main__",
}  # fmt: skip
"""Units that cheap commands import: not even numpy at their top level."""
HEAVY_FOR_COMMANDS = HEAVY | {"numpy", "PIL"}


class Import(NamedTuple):
    """An import statement: its place, the imported dotted name, and whether importing the file runs it."""

    file: Path
    line: int
    name: str
    at_top: bool

    @property
    def unit(self):
        return unit_of(self.file)

    def __str__(self):
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.name}"


def unit_of(file):
    parts = file.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def layer_of(unit):
    return next((index for index, units in enumerate(LAYERS) if unit in units), None)


def imports_of(file, source=None):
    tree = ast.parse(source if source is not None else file.read_text("utf-8"))
    found = []

    def visit(node, at_top):
        for child in ast.iter_child_nodes(node):
            inside = at_top and not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
                inside = False
            if isinstance(child, ast.Import):
                found.extend(Import(file, child.lineno, alias.name, at_top) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                base = absolute_name(file, child)
                found.extend(Import(file, child.lineno, f"{base}.{alias.name}", at_top) for alias in child.names)
            visit(child, inside)

    visit(tree, at_top=True)
    return found


def absolute_name(file, node):
    if not node.level:
        return node.module
    package = ("sadtalker_ext", *file.relative_to(PACKAGE).parts[: -node.level])
    return ".".join([*package, node.module] if node.module else package)


def files():
    return [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]


def breaches(found):
    """Sentences about the imports that point up or sideways, also those for type checkers only."""
    for statement in found:
        parts = statement.name.split(".")
        if parts[0] != "sadtalker_ext" or len(parts) < 2 or parts[1] == "__version__":
            continue
        wanted, own = parts[1], statement.unit
        if layer_of(wanted) is None:
            yield f"{statement}, which belongs to no layer"
        elif wanted != own and layer_of(wanted) >= layer_of(own):
            yield f"{statement}, but {own} is in layer {layer_of(own)} and {wanted} in layer {layer_of(wanted)}"


def misplaced_frameworks(found):
    """Sentences about frameworks imported outside the units that may know them."""
    for statement in found:
        package = statement.name.split(".")[0]
        if statement.unit not in ONLY_IN.get(package, {statement.unit}):
            yield f"{statement}, which only {', '.join(ONLY_IN[package]) or 'no unit'} may import"


def heavy_imports(found):
    """Sentences about heavy packages that importing a light unit would load."""
    for statement in found:
        if statement.at_top and statement.unit in LIGHT_UNITS and statement.name.split(".")[0] in HEAVY_FOR_COMMANDS:
            yield f"{statement} at its top level; import it where it is used"


ALL = [statement for file in files() for statement in imports_of(file)]


def test_every_file_belongs_to_a_layer():
    assert [str(file.relative_to(ROOT)) for file in files() if layer_of(unit_of(file)) is None] == []


@pytest.mark.parametrize("rule", [breaches, misplaced_frameworks, heavy_imports])
def test_imports_follow_the_layers(rule):
    assert list(rule(ALL)) == []


def module_of(file):
    return ".".join(("sadtalker_ext", *file.relative_to(PACKAGE).with_suffix("").parts)).removesuffix(".__init__")


def imported_modules(found):
    """The modules of the package that each module imports, anywhere in its file and for type checkers too."""
    modules = {module_of(file) for file in files()}
    graph = {module: set() for module in modules}
    for statement in found:
        name = statement.name if statement.name in modules else statement.name.rpartition(".")[0]
        if name in modules and name != module_of(statement.file):
            graph[module_of(statement.file)].add(name)
    return graph


def circles(graph):
    """Groups of modules that import each other (strongly connected components of more than one module)."""
    reached = {module: reachable(graph, module) for module in graph}
    groups = {tuple(sorted({other for other in reached[module] if module in reached[other]})) for module in graph}
    return sorted(group for group in groups if group)


def reachable(graph, start):
    seen, pending = set(), list(graph[start])
    while pending:
        module = pending.pop()
        if module not in seen:
            seen.add(module)
            pending.extend(graph[module])
    return seen


def test_imports_form_no_circle():
    assert circles(imported_modules(ALL)) == []


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [("b", "c")]


LONGEST_FILE = 300
LONGEST_FUNCTION = 40


def source_files():
    scripts = [ROOT / "install.py", ROOT / "preload.py", *ROOT.glob("scripts/*.py"), *ROOT.glob("javascript/*.js")]
    return [*sorted(PACKAGE.rglob("*.py")), *scripts, ROOT / "style.css"]


def other_python_files():
    """Tests, documentation scripts, examples and the build script: short files, but functions of any length."""
    folders = [*ROOT.glob("tests/**/*.py"), *ROOT.glob("docs/*.py"), *ROOT.glob("examples/*.py")]
    return [*sorted(folders), ROOT / "setup.py"]


def test_files_fit_on_a_few_screens():
    files = [*source_files(), *other_python_files()]
    lengths = {str(file.relative_to(ROOT)): len(file.read_text("utf-8").splitlines()) for file in files}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


def test_functions_fit_on_a_screen():
    long = {}
    for file in (file for file in source_files() if file.suffix == ".py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = node.end_lineno - node.lineno + 1
                if lines > LONGEST_FUNCTION:
                    long[f"{file.relative_to(ROOT)}:{node.lineno} {node.name}"] = lines
    assert long == {}


def test_optional_packages_are_imported_where_they_are_used():
    """Heavy packages that not every user installs may only be imported where they are used."""
    optional = {"gradio", "fastapi", "face_alignment", "librosa", "kornia", "skimage"}
    at_top = [str(s) for s in ALL if s.at_top and s.name.split(".")[0] in optional and s.unit not in {"webui", "api"}]
    assert at_top == []


def test_no_print_below_the_command_line():
    prints = []
    for file in files():
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                prints.append((unit_of(file), f"{file.relative_to(ROOT)}:{node.lineno}"))
    assert [place for unit, place in prints if unit != "cli"] == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("from sadtalker_ext.pipeline.batch import plan", "geometry/x.py:1 imports sadtalker_ext.pipeline.batch"),
        ("def f():\n    import sadtalker_ext.engines.cache", "geometry/x.py:2 imports sadtalker_ext.engines.cache"),
        ("if TYPE_CHECKING:\n    from sadtalker_ext.audio.speech import Speech", "geometry/x.py:2 imports"),
        ("from ..video import write", "geometry/x.py:1 imports sadtalker_ext.video.write"),
        ("from sadtalker_ext import cli", "geometry/x.py:1 imports sadtalker_ext.cli"),
        ("from sadtalker_ext import nowhere", "belongs to no layer"),
    ],
)
def test_breaches_are_found(source, message):
    (sentence,) = breaches(imports_of(PACKAGE / "geometry" / "x.py", source))
    assert message in sentence


@pytest.mark.parametrize(
    "source",
    ["from sadtalker_ext.errors import FaceError", "from . import landmarks", "from sadtalker_ext import __version__"],
)
def test_allowed_imports_pass(source):
    assert list(breaches(imports_of(PACKAGE / "geometry" / "x.py", source))) == []


def test_misplaced_frameworks_and_heavy_imports_are_found():
    frameworks = imports_of(PACKAGE / "pipeline" / "x.py", "import argparse\nimport gradio as gr")
    assert len(list(misplaced_frameworks(frameworks))) == 2
    source = "import numpy as np\nclass A:\n    import torch\ndef f():\n    import cv2"
    light = imports_of(PACKAGE / "cli" / "x.py", source)
    assert [sentence.split(" at ")[0][-5:] for sentence in heavy_imports(light)] == ["numpy", "torch"]
