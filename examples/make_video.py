"""Make one video and show its progress.

Usage: python examples/make_video.py me.jpg voice.mp3 talking.mp4
"""

import sys

from sadtalker_ext import Progress, SadTalkerError, Settings, Watcher, animate


def show(progress: Progress) -> None:
    """Print the state of the work on one line."""
    print(f"\r{progress.stage}: {progress.done}/{progress.total}", end="", file=sys.stderr)


def main(portrait: str, voice: str, output: str) -> int:
    """Make the video; 2 if an input cannot be used."""
    try:
        result = animate(portrait, voice, output, Settings(expression_scale=1.1, seed=7), watcher=Watcher(show))
    except SadTalkerError as error:
        print(f"\n{error}", file=sys.stderr)
        return 2
    print(f"\n{result.path}: {result.frames} frames, {result.realtime_factor:.1f} x real time")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
