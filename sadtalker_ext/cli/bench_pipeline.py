"""Makes one video with stub networks, in a separate process: ``python -m sadtalker_ext.cli.bench_pipeline``.

Arguments: portrait, voice, output. Prints the result as JSON, with the CPU time of this process and of ffmpeg while
frames were made.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sadtalker_ext.pipeline.progress import Progress


class CpuClock:
    """CPU time of this process since the first frame was started, and of the child processes that have ended."""

    def __init__(self) -> None:
        self._began_s = 0.0

    def report(self, progress: Progress) -> None:
        """Start the clock when the stage of the frames begins."""
        if progress.stage == "frames" and progress.done == 0:
            self._began_s = _process_cpu_s()

    def seconds(self) -> dict[str, float]:
        """Return own_cpu_s and ffmpeg_cpu_s; the face worker, which has not ended, counts for neither."""
        times = os.times()
        return {
            "own_cpu_s": _process_cpu_s() - self._began_s,
            "ffmpeg_cpu_s": times.children_user + times.children_system,
        }


def main(portrait: str, voice: str, output: str) -> None:
    """Make the video and print the result."""
    import torch

    from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
    from sadtalker_ext.engines.sadtalker.stub_networks import stub_engine
    from sadtalker_ext.engines.session import OpenEngine
    from sadtalker_ext.pipeline.animate import make_video
    from sadtalker_ext.pipeline.inputs import Inputs
    from sadtalker_ext.pipeline.progress import Watcher
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings

    torch.set_num_threads(1)  # without networks, more threads would only spin on the cores that ffmpeg needs

    clock, runtime, settings = CpuClock(), Runtime(device="cpu"), Settings(engine="sadtalker")
    engine_options = SadTalkerOptions.from_settings(settings)
    with OpenEngine(stub_engine(runtime, engine_options), settings.engine, engine_options) as engine:
        inputs = Inputs(Path(portrait), Path(voice))
        result = make_video(inputs, output, settings, runtime, Watcher(clock.report), engine=engine)
    print(json.dumps(result.to_mapping() | clock.seconds()))


def _process_cpu_s() -> float:
    times = os.times()
    return times.user + times.system


if __name__ == "__main__":
    main(*sys.argv[1:])
