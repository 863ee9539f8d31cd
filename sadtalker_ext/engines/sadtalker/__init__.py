"""The SadTalker engine: the published networks (Zhang et al., CVPR 2023)."""

from typing import Final

NAME: Final = "sadtalker"
LABEL: Final = "SadTalker networks: sharper faces, 1 GB download, graphics card advised"
POSE_STYLES: Final = tuple(str(number) for number in range(46))
"""Head motion styles of the published PoseVAE, which have no names."""
