"""The SadTalker engine: the published networks (Zhang et al., CVPR 2023)."""
