"""Check of packages that only some functions need, and that the smallest installation does not contain."""

from __future__ import annotations

from importlib.util import find_spec

from sadtalker_ext.errors import MissingPackageError


def require_package(module: str, package: str, use: str) -> None:
    """Raise MissingPackageError with the remedy if a package cannot be imported.

    module, package: names for import and for pip. use: what needs the package, as the start of the sentence.
    """
    if find_spec(module) is None:
        raise MissingPackageError(
            f"{use} needs the package {package}, which is not installed; run: pip install {package}"
        )
