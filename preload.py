"""Command-line flags of the extension, which stable-diffusion-webui asks for before it starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser


def preload(parser: ArgumentParser) -> None:
    """Add our flags to the webui's own."""
    parser.add_argument("--sadtalker-dir", type=str, default=None, help="folder of SadTalker's checkpoints")
    parser.add_argument("--sadtalker-device", type=str, default=None, help="device of SadTalker, such as cpu or cuda:1")
