"""Command ``sadtalker bench``: speed, memory and start-up time, each measured from outside a new process."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sadtalker_ext.assets import demo_portrait, demo_voice
from sadtalker_ext.cli.bench_latency import PERCENTILE, lateness_during_video
from sadtalker_ext.cli.bench_renderer import DTYPES, MODES, SIZES, format_result, run_child
from sadtalker_ext.cli.process_memory import ALL, ANONYMOUS, tree_memory_mb
from sadtalker_ext.constants import FRAME_RATE_HZ, SAMPLE_RATE_HZ
from sadtalker_ext.errors import EngineError

SPEED_VOICE_S: Final = 30.0
SHORT_VOICE_S: Final = 10.0
LONG_VOICE_S = 600.0
STUB_VOICE_S: Final = 20.0
STUB_FRAMES: Final = (100, 1500)
"""Lengths of the two videos whose memory is compared, with stub networks."""
POLL_S: Final = 0.25
"""Time between two memory readings, each of which stops the process for some milliseconds."""
FIRST_POLL_S: Final = 0.01
"""The same until the first frame, whose time is measured as well."""


RENDERER: Final = "renderer"


@dataclass(frozen=True)
class Measurement:
    """A measured value and its bar on two CPU cores: a minimum, or a maximum if ``at_most``."""

    name: str
    value: float | None
    unit: str
    bar: float
    at_most: bool = False

    @property
    def passed(self) -> bool | None:
        """Whether the value meets its bar; None if it could not be measured."""
        if self.value is None:
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar


@dataclass(frozen=True)
class Run:
    """A finished process: its result, seconds to the first frame and to the end, peak memory with its children.

    peak_anonymous_mb: without mapped files, which count less while other processes map them as well.
    """

    result: dict[str, float]
    first_frame_s: float
    wall_s: float
    peak_mb: float | None
    peak_anonymous_mb: float | None = None

    @property
    def frames_per_s(self) -> float:
        """Frames of the video per second of work, from opening the engine to the finished file."""
        return self.result["frames"] / self.result["total_s"]


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command and its flags to the parser."""
    parser = commands.add_parser(
        "bench", help="measure speed, memory, start-up time and latency", allow_abbrev=False,
        description="Measure speed, memory, start-up time and latency on this machine; all measurements take several "
        "minutes.",
    )  # fmt: skip
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"measurements to run, from {', '.join(MEASUREMENTS)} (default: all)"
    )
    renderer = parser.add_argument_group(
        "renderer", f"The measurement {RENDERER}, which runs only if it is named: the official generator with random "
        "weights",
    )  # fmt: skip
    renderer.add_argument("--size", type=int, action="append", choices=SIZES, help="side in pixels (default: both)")
    renderer.add_argument("--dtype", action="append", choices=DTYPES, help="data type (default: all)")
    renderer.add_argument(
        "--mode", action="append", choices=MODES, help="eager, compiled with torch.compile, which takes minutes to "
        "start, or graphs: recorded as a CUDA graph (default: eager)",
    )  # fmt: skip
    renderer.add_argument("--device", default="auto", help="device to compute on (default: auto)")
    renderer.add_argument(
        "--against", type=Path, metavar="OFFICIAL_FOLDER", help="folder of the official code to compare with"
    )
    parser.add_argument("--json", action="store_true", help="print the results as a JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Run the measurements and print their results."""
    if options.names == [RENDERER]:
        return run_renderer(options)
    for name in options.names:
        if name == RENDERER:
            raise EngineError(f"The measurement {RENDERER} cannot be combined with others; name it alone")
        if name not in MEASUREMENTS:
            raise EngineError(
                f"There is no measurement named {name}; choose from {', '.join(MEASUREMENTS)}, {RENDERER}"
            )
    results = []
    with tempfile.TemporaryDirectory(prefix="sadtalker-bench-") as folder:
        for name in options.names or MEASUREMENTS:
            sys.stderr.write(f"measuring {name} ...\n")
            results += MEASUREMENTS[name](Path(folder))
    if options.json:
        print(json.dumps({m.name: {"value": m.value, "unit": m.unit, "bar": m.bar, "met": m.passed} for m in results}))
    else:
        print("\n".join(format_table(results)))
    return 0


def run_renderer(options: argparse.Namespace) -> int:
    """Measure the renderer and print the results."""
    kinds = itertools.product(options.size or SIZES, options.dtype or DTYPES, options.mode or MODES[:1])
    results = []
    for size_px, dtype, mode in kinds:
        sys.stderr.write(f"measuring {RENDERER} {size_px} {dtype} {mode} ...\n")
        results.append(run_child(size_px, dtype, mode, (options.device, options.against)))
        if not options.json:
            print("\n".join(format_result(results[-1])), flush=True)
    if options.json:
        print(json.dumps(results))
    return 0


def measure_speed(folder: Path, side_px: int, bar: float) -> list[Measurement]:
    """Measure frames per second from the input files to the mp4 file, for half a minute of voice."""
    done = run_animate(write_portrait(folder, side_px), write_voice(folder, SPEED_VOICE_S), folder)
    frames_only = done.result["frames"] / done.result["stage_s"]["frames"]  # type: ignore[index] # the one nested value
    return [
        Measurement(f"end to end at {side_px}x{side_px}", done.frames_per_s, "frames/s", bar),
        Measurement(f"render and encode at {side_px}x{side_px}", frames_only, "frames/s", bar),
    ]


def measure_memory(folder: Path) -> list[Measurement]:
    """Measure how much more memory ten minutes of voice need than ten seconds, including child processes."""
    portrait, voices = write_portrait(folder, 512), (SHORT_VOICE_S, LONG_VOICE_S)
    peaks = [run_animate(portrait, write_voice(folder, length_s), folder).peak_mb for length_s in voices]
    return [
        Measurement("peak memory of a 10-second clip", peaks[0], "MB", 2000.0, at_most=True),
        Measurement("additional memory of a 10-minute clip", _difference(peaks), "MB", 30.0, at_most=True),
    ]


def measure_first_frame(folder: Path) -> list[Measurement]:
    """Measure seconds from the start of the process to its first frame; the second start, with files in the cache."""
    portrait, voice = write_portrait(folder, 512), write_voice(folder, SHORT_VOICE_S)
    runs = [run_animate(portrait, voice, folder, memory=False) for _ in range(2)]
    return [Measurement("first frame after start", runs[1].first_frame_s, "s", 2.0, at_most=True)]


def measure_latency(folder: Path) -> list[Measurement]:
    """Measure how late a 1 ms timer of this process is while another process makes a video."""
    import numpy as np

    files = write_portrait(folder, 512), write_voice(folder, SPEED_VOICE_S), folder / "bench.mp4"
    late_s = np.percentile(lateness_during_video(*files), PERCENTILE)
    return [Measurement("lateness of a 1 ms timer, 99th percentile", 1000.0 * float(late_s), "ms", 20.0, at_most=True)]


def measure_pipeline(folder: Path) -> list[Measurement]:
    """Measure milliseconds per frame of the engine sadtalker without its networks, pasting at 1024 x 1024."""
    done = run_with_stubs(folder, 1024, STUB_VOICE_S).result
    wall_s = done["stage_s"]["frames"]  # type: ignore[index] # the one nested value
    wall, program, ffmpeg = (
        1000 * seconds / done["frames"] for seconds in (wall_s, done["own_cpu_s"], done["ffmpeg_cpu_s"])
    )
    return [
        Measurement("pipeline without networks at 1024x1024", wall, "ms/frame", 8.0, at_most=True),
        Measurement("CPU time of the program", program, "ms/frame", 8.0, at_most=True),
        Measurement("CPU time of ffmpeg", ffmpeg, "ms/frame", 12.0, at_most=True),
    ]


def measure_pipeline_memory(folder: Path) -> list[Measurement]:
    """Measure how much more memory 1500 frames of the engine sadtalker need than 100, without its networks."""
    peaks = [run_with_stubs(folder, 512, frames / FRAME_RATE_HZ).peak_anonymous_mb for frames in STUB_FRAMES]
    return [Measurement("additional memory of 1500 frames over 100", _difference(peaks), "MB", 30.0, at_most=True)]


def _difference(peaks: list[float | None]) -> float | None:
    return None if peaks[0] is None or peaks[1] is None else peaks[1] - peaks[0]


MEASUREMENTS: Final[dict[str, Callable[[Path], list[Measurement]]]] = {
    "first-frame": measure_first_frame,
    "speed-512": lambda folder: measure_speed(folder, 512, 60.0),
    "speed-1024": lambda folder: measure_speed(folder, 1024, 35.0),
    "latency": measure_latency,
    "memory": measure_memory,
    "pipeline": measure_pipeline,
    "pipeline-memory": measure_pipeline_memory,
}


def run_animate(portrait: Path, voice: Path, folder: Path, *, memory: bool = True) -> Run:
    """Run ``sadtalker animate`` as a user does, and measure it from outside; see :func:`run_measured`."""
    module = ["sadtalker_ext", "animate", str(portrait), str(voice), "-o", str(folder / "bench.mp4"), "--json"]
    return run_measured(module, folder, memory=memory)


def run_with_stubs(folder: Path, side_px: int, voice_s: float) -> Run:
    """Run the engine sadtalker with stub networks, and measure it from outside."""
    files = write_portrait(folder, side_px), write_voice(folder, voice_s), folder / "bench.mp4"
    return run_measured(["sadtalker_ext.cli.bench_pipeline", *map(str, files)], folder)


def run_measured(module: list[str], folder: Path, *, memory: bool = True) -> Run:
    """Run a module with arguments that prints its result as JSON, and measure the process from outside.

    memory: whether to read its memory meanwhile. Linux walks through all its pages for that, which takes half a core
    and delays the process. Its bytecode is kept as for users, whatever PYTHONDONTWRITEBYTECODE says.
    """
    command, log = [sys.executable, "-m", *module], folder / "bench.log"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with log.open("w") as stderr, (folder / "bench.json").open("w+") as stdout:
        began_s = time.perf_counter()
        child = subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment)
        first_s, peaks = 0.0, dict.fromkeys((ALL, ANONYMOUS))
        try:
            while child.poll() is None:
                time.sleep(POLL_S if first_s else FIRST_POLL_S)
                if not first_s and re.search(r" 1/\d+ ", log.read_text()):
                    first_s = time.perf_counter() - began_s
                for kind, peak in peaks.items() if memory else ():
                    peaks[kind] = max(filter(None, (peak, tree_memory_mb(child.pid, kind))), default=None)
        finally:
            child.kill()
            child.wait()
        wall_s = time.perf_counter() - began_s
        stdout.seek(0)
        output = stdout.read()
    if child.returncode != 0:
        raise EngineError(f"The measured process failed: {log.read_text().strip().splitlines()[-1]}")
    return Run(json.loads(output), first_s, wall_s, *peaks.values())


def write_portrait(folder: Path, side_px: int) -> Path:
    """Write the demo portrait at this size and return its path."""
    from PIL import Image

    from sadtalker_ext.video.image_formats import open_image

    path = folder / f"astronaut_{side_px}.png"
    if not path.exists():
        open_image(demo_portrait()).convert("RGB").resize((side_px, side_px), Image.LANCZOS).save(path)
    return path


def write_voice(folder: Path, length_s: float) -> Path:
    """Write the demo voice, repeated to this length, and return its path."""
    from sadtalker_ext.audio.speech import open_speech

    path = folder / f"voice_{length_s:g}.wav"
    if not path.exists():
        pcm = (open_speech(demo_voice()).samples() * 32767).astype("<i2").tobytes()
        total = 2 * round(length_s * SAMPLE_RATE_HZ)
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
            for start in range(0, total, len(pcm)):
                file.writeframes(pcm[: total - start])
    return path


def format_table(results: list[Measurement]) -> list[str]:
    """Return one line per measurement with its value, its bar, and whether the bar is met."""
    verdicts = {True: "met", False: "MISSED", None: "not measured on this system"}
    lines = []
    for m in results:
        value, sign = "-" if m.value is None else f"{m.value:.2f}", "<=" if m.at_most else ">="
        lines.append(f"{m.name:<42} {value:>9} {m.unit:<9} {sign} {m.bar:<7g} {verdicts[m.passed]}")
    return lines
