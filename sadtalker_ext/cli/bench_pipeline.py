"""One video by stand-ins for the networks, in a program of its own: ``python -m sadtalker_ext.cli.bench_pipeline``.

Arguments: portrait, voice, output. Prints the result as JSON, and the processor time of this program and of ffmpeg
while the frames were made.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.progress import Progress


class Clock:
    """Processor seconds of this program since the frames began, and of all that it has waited for."""

    def __init__(self) -> None:
        self._began_s = 0.0

    def report(self, progress: Progress) -> None:
        """Begin with the stage of the frames."""
        if progress.stage == "frames" and progress.done == 0:
            self._began_s = _own_s()

    def seconds(self) -> dict[str, float]:
        """own_cpu_s and ffmpeg_cpu_s; the face worker, which lives on, counts for neither."""
        times = os.times()
        return {"own_cpu_s": _own_s() - self._began_s, "ffmpeg_cpu_s": times.children_user + times.children_system}


def main(portrait: str, voice: str, output: str) -> None:
    """Make the video and tell."""
    import torch

    from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
    from sadtalker_ext.engines.sadtalker.stub_networks import stub_engine
    from sadtalker_ext.engines.session import OpenEngine
    from sadtalker_ext.pipeline.animate import make_video
    from sadtalker_ext.pipeline.inputs import Inputs
    from sadtalker_ext.pipeline.progress import Watcher
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings

    torch.set_num_threads(1)  # without networks its threads would only spin on the cores that ffmpeg wants

    clock, runtime, settings = Clock(), Runtime(device="cpu"), Settings(engine="sadtalker")
    chosen = SadTalkerOptions.from_settings(settings)
    with OpenEngine(stub_engine(runtime, chosen), settings.engine, chosen) as engine:
        inputs = Inputs(Path(portrait), Path(voice))
        result = make_video(inputs, output, settings, runtime, Watcher(clock.report), engine=engine)
    print(json.dumps(result.to_mapping() | clock.seconds()))


def _own_s() -> float:
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    main(*sys.argv[1:])
