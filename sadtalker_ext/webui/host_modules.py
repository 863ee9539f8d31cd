"""Access to the webui's own modules; no other file imports them.

The webuis differ in the names that they define, so that every name is looked up when it is used and may be missing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from importlib import import_module
from typing import Any, Final, ParamSpec, TypeVar

log = logging.getLogger(__name__)
P = ParamSpec("P")
T = TypeVar("T")
MISSING: Final = "The webui has no %s; %s"
"""Message about a missing name: the name, and what does not work without it."""


def find(module: str, name: str) -> Any:  # noqa: ANN401 - whatever the webui defines
    """Return ``name`` of the webui's module ``modules.MODULE``, or None if this webui lacks the module or the name.

    name: the name of an attribute, or several joined by dots: ``state.begin``.
    """
    try:
        found: Any = import_module(f"modules.{module}")
    except ImportError:
        return None
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def guarded(purpose: str) -> Callable[[Callable[P, T]], Callable[P, T | None]]:
    """Decorate a function that the webui calls: an exception is logged with ``purpose``, and the result is None."""

    def decorate(function: Callable[P, T]) -> Callable[P, T | None]:
        @wraps(function)
        def call(*arguments: P.args, **options: P.kwargs) -> T | None:
            try:
                return function(*arguments, **options)
            except Exception:  # an error of the extension must not stop the webui
                log.exception("SadTalker cannot %s; the reason follows", purpose)
                return None

        return call

    return decorate
