"""The starter engine: motion networks and a geometric renderer that ship with the package."""

from typing import Final

NAME: Final = "starter"
LABEL: Final = "Starter: ships with the package, works at once"
