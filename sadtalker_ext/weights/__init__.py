"""Checkpoints: catalogue, files, strict state dicts, and the weights that ship with the package."""
