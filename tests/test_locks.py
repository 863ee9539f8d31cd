"""constraints.txt pins every package of every extra exactly once for each supported Python, with its dependencies."""

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
NAME = canonicalize_name(PROJECT["name"])
EXTRAS = PROJECT["optional-dependencies"]
PYTHONS = re.findall(r"^Programming Language :: Python :: (3\.\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
PLATFORMS = ("linux", "win32", "darwin")


def lines(path):
    """The requirements of a constraints file."""
    texts = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return [Requirement(text) for text in texts if text]


LOCK = lines(ROOT / "constraints.txt")


def environment(python, platform):
    return {"python_version": python, "python_full_version": f"{python}.0", "sys_platform": platform, "extra": ""}


def applies(requirement, python, platform, extra=""):
    where = {**environment(python, platform), "extra": extra}
    return requirement.marker is None or requirement.marker.evaluate(where)


def pins(python, platform):
    """Pinned versions by package name, a list each, in an environment."""
    found = {}
    for line in LOCK:
        if applies(line, python, platform):
            (specifier,) = line.specifier
            assert specifier.operator == "==", f"{line} does not pin a version"
            found.setdefault(canonicalize_name(line.name), []).append(specifier.version)
    return found


def expanded(extra):
    """The requirements of an extra and of the extras that it names."""
    for text in EXTRAS[extra]:
        requirement = Requirement(text)
        if canonicalize_name(requirement.name) != NAME:
            yield requirement
        for inner in requirement.extras if canonicalize_name(requirement.name) == NAME else ():
            yield from expanded(inner)


def test_supported_pythons_start_at_the_required_one():
    lowest = Requirement(f"python{PROJECT['requires-python']}").specifier
    assert "3.10" in PYTHONS
    assert "3.13" in PYTHONS
    assert all(f"{python}.0" in lowest for python in PYTHONS)
    assert "3.9.20" not in lowest


@pytest.mark.parametrize("platform", PLATFORMS)
@pytest.mark.parametrize("python", PYTHONS)
def test_no_package_is_pinned_twice(python, platform):
    assert {name: versions for name, versions in pins(python, platform).items() if len(versions) > 1} == {}


@pytest.mark.parametrize("extra", EXTRAS)
@pytest.mark.parametrize("python", PYTHONS)
def test_each_requirement_of_an_extra_is_pinned(python, extra):
    pinned = pins(python, "linux")
    needed = [found for found in expanded(extra) if applies(found, python, "linux")]
    assert needed
    for requirement in needed:
        versions = pinned.get(canonicalize_name(requirement.name), [])
        assert len(versions) == 1, f"{requirement} has the pins {versions} on Python {python}"
        assert versions[0] in requirement.specifier, f"{requirement} does not allow its pin {versions[0]}"


def installed(name):
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def reachable():
    """Installed distributions that the extras bring, by name; an extra of a dependency counts as well."""
    waiting = [(requirement, "") for extra in EXTRAS for requirement in expanded(extra)]
    found, seen = {}, set()
    while waiting:
        requirement, of_extra = waiting.pop()
        name = canonicalize_name(requirement.name)
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": of_extra}):
            continue
        distribution = installed(name)
        if distribution is None:
            continue
        found[name] = distribution
        for extra in {"", *requirement.extras} - {seen_extra for seen_name, seen_extra in seen if seen_name == name}:
            seen.add((name, extra))
            waiting += [(Requirement(text), extra) for text in distribution.requires or []]
    return found


def test_every_installed_dependency_is_pinned_at_its_version():
    pinned = pins(f"{sys.version_info[0]}.{sys.version_info[1]}", sys.platform)
    wrong = {}
    for name, distribution in reachable().items():
        version = Version(distribution.version).public
        if [Version(pin).public for pin in pinned.get(name, [])] != [version]:
            wrong[name] = f"{version} is installed, {pinned.get(name)} pinned"
    assert wrong == {}


def test_the_starter_engine_brings_no_package_of_the_front_ends():
    names = {canonicalize_name(found.name) for found in expanded("starter")}
    assert not names & {"gradio", "fastapi", "mediapipe", "librosa", "kornia", "matplotlib"}
