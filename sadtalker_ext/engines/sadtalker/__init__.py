"""The SadTalker engine: the published networks (Zhang et al., CVPR 2023)."""

from typing import Final

NAME: Final = "sadtalker"
LABEL: Final = "SadTalker: the published networks of the paper (CVPR 2023)"
