"""Command-line flags of the extension; stable-diffusion-webui imports this file before it parses its arguments."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser


def preload(parser: ArgumentParser) -> None:
    """Add the extension's flags to the webui's parser."""
    parser.add_argument("--sadtalker-dir", type=str, default=None, help="folder with SadTalker checkpoints")
    parser.add_argument("--sadtalker-device", type=str, default=None, help="device for SadTalker, e.g. cpu or cuda:1")
