"""Array type of the imaging backends."""

from __future__ import annotations

from typing import Any, TypeAlias

BackendArray: TypeAlias = Any
"""An array of the imaging backend: NumPy's on the CPU, torch's on a GPU."""
