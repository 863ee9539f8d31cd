"""Animate one portrait with several voices; the engine is opened once and the face is found once.

Usage: python examples/batch.py me.jpg results/ one.mp3 two.mp3 three.mp3
"""

import sys
from pathlib import Path

from sadtalker_ext import Settings, animate, open_engine


def main(portrait: str, folder: str, voices: list[str]) -> None:
    """Make ``folder/VOICE.mp4`` for each voice."""
    with open_engine("starter") as engine:
        for voice in voices:
            result = animate(portrait, voice, Path(folder, f"{Path(voice).stem}.mp4"), Settings(), engine=engine)
            print(f"{result.path}: first frame after {result.first_frame_s:.2f} s")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
