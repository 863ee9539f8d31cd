"""Data files that ship with the package; README.md in this folder documents the origin of each."""

from __future__ import annotations

from pathlib import Path


def demo_portrait() -> Path:
    """Return the photograph of Eileen Collins (NASA, public domain), 512 x 512 pixels."""
    return Path(__file__).parent / "astronaut.png"


def demo_voice() -> Path:
    """Return the spoken clip, about ten seconds of synthetic speech."""
    return Path(__file__).parent / "demo_voice.flac"


def example_voice() -> Path:
    """Return the first sentences of the spoken clip, about four seconds."""
    return Path(__file__).parent / "example_voice.flac"
