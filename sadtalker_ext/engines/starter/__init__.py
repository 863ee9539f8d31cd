"""The starter engine: motion networks and a geometric renderer that ship with the package."""

from typing import Final

NAME: Final = "starter"
LABEL: Final = "Starter: works at once, any computer"
POSE_STYLES: Final = (
    "natural", "calm", "lively", "nodding", "swaying", "attentive", "thoughtful", "newsreader", "storyteller", "shy",
    "confident", "cheerful",
)  # fmt: skip
"""Head motion styles of the shipped network, in its order."""
