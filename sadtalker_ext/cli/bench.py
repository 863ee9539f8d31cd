"""``sadtalker bench``: speed, memory and the time to the first frame, each measured from outside a fresh program."""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sadtalker_ext.cli.demo import demo_portrait, demo_voice
from sadtalker_ext.cli.process_memory import ALL, OWN, tree_memory_mb
from sadtalker_ext.constants import FRAME_RATE_HZ
from sadtalker_ext.errors import EngineError

SPEED_VOICE_S = 30.0
SHORT_VOICE_S = 10.0
LONG_VOICE_S = 600.0
REHEARSAL_S = 20.0
REHEARSED_FRAMES = (100, 1500)
SAMPLE_EVERY_S = 0.05
MEGABYTE = 1e6


@dataclass(frozen=True)
class Measure:
    """One figure, its unit, and the bar it is held against on two CPU cores (a floor unless ``at_most``)."""

    name: str
    value: float | None
    unit: str
    bar: float
    at_most: bool = False

    @property
    def met(self) -> bool | None:
        """Whether the figure keeps to its bar; None where it could not be measured."""
        if self.value is None:
            return None
        return self.value <= self.bar if self.at_most else self.value >= self.bar


@dataclass(frozen=True)
class Run:
    """One finished program: its result, wall seconds to the first frame and to the end, peak memory of its tree.

    peak_own_mb: the same without mapped files, which cost less while other programs have them mapped, too.
    """

    result: dict[str, float]
    first_frame_s: float
    wall_s: float
    peak_mb: float | None
    peak_own_mb: float | None = None

    @property
    def frames_per_s(self) -> float:
        """Frames of video per second from start of the work to the finished file."""
        return self.result["frames"] / self.result["total_s"]


def add_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its flags."""
    parser = commands.add_parser(
        "bench", help="measure speed, memory and start-up", allow_abbrev=False,
        description="Measure on this machine. Without names everything is measured, which takes some minutes.",
    )  # fmt: skip
    parser.add_argument("what", nargs="*", metavar="NAME", help=f"any of {', '.join(MEASURES)}")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Measure what was asked for and print a table."""
    for name in options.what:
        if name not in MEASURES:
            raise EngineError(f"There is no measurement named {name}; there are {', '.join(MEASURES)}")
    measures = []
    with tempfile.TemporaryDirectory(prefix="sadtalker-bench-") as folder:
        for name in options.what or MEASURES:
            sys.stderr.write(f"measuring {name} ...\n")
            measures += MEASURES[name](Path(folder))
    if options.json:
        print(json.dumps({m.name: {"value": m.value, "unit": m.unit, "bar": m.bar, "met": m.met} for m in measures}))
    else:
        print("\n".join(table(measures)))
    return 0


def speed(folder: Path, side_px: int, bar: float) -> list[Measure]:
    """Frames per second of the whole chain from files to mp4, half a minute of voice."""
    done = measure(portrait(folder, side_px), voice(folder, SPEED_VOICE_S), folder)
    steady = done.result["frames"] / done.result["stage_s"]["frames"]  # type: ignore[index] # the one nested value
    return [
        Measure(f"whole chain at {side_px}x{side_px}", done.frames_per_s, "frames/s", bar),
        Measure(f"render and encode alone at {side_px}x{side_px}", steady, "frames/s", bar),
    ]


def memory(folder: Path) -> list[Measure]:
    """Megabytes that ten minutes of voice cost more than ten seconds, program and helpers together."""
    peaks = [measure(portrait(folder, 512), voice(folder, length), folder).peak_mb for length in (10.0, LONG_VOICE_S)]
    more = None if peaks[0] is None or peaks[1] is None else peaks[1] - peaks[0]
    return [
        Measure("peak memory of a 10-second clip", peaks[0], "MB", 2000.0, at_most=True),
        Measure("more for a 10-minute clip", more, "MB", 30.0, at_most=True),
    ]


def first_frame(folder: Path) -> list[Measure]:
    """Seconds from starting the program to its first frame; the second start, so that files come from memory."""
    runs = [measure(portrait(folder, 512), voice(folder, SHORT_VOICE_S), folder) for _ in range(2)]
    return [Measure("first frame after start", runs[1].first_frame_s, "s", 4.0, at_most=True)]


def pipeline(folder: Path) -> list[Measure]:
    """Milliseconds a frame that the engine sadtalker costs besides its networks, face put back at 1024 x 1024."""
    done = rehearse(folder, 1024, REHEARSAL_S).result
    wall_s = done["stage_s"]["frames"]  # type: ignore[index] # the one nested value
    milliseconds = {name: 1000 * seconds / done["frames"] for name, seconds in
                    (("wall", wall_s), ("own", done["own_cpu_s"]), ("ffmpeg", done["ffmpeg_cpu_s"]))}  # fmt: skip
    return [
        Measure("all but the networks at 1024x1024", milliseconds["wall"], "ms/frame", 12.0, at_most=True),
        Measure("of that, processor time of our own", milliseconds["own"], "ms/frame", 12.0, at_most=True),
        Measure("of that, processor time of ffmpeg", milliseconds["ffmpeg"], "ms/frame", 24.0, at_most=True),
    ]


def pipeline_memory(folder: Path) -> list[Measure]:
    """Megabytes that 1500 frames of the engine sadtalker cost more than 100, networks aside."""
    peaks = [rehearse(folder, 512, frames / FRAME_RATE_HZ).peak_own_mb for frames in REHEARSED_FRAMES]
    more = None if peaks[0] is None or peaks[1] is None else peaks[1] - peaks[0]
    return [Measure("more for 1500 frames than for 100", more, "MB", 30.0, at_most=True)]


MEASURES: dict[str, Callable[[Path], list[Measure]]] = {
    "first-frame": first_frame,
    "speed-512": lambda folder: speed(folder, 512, 50.0),
    "speed-1024": lambda folder: speed(folder, 1024, 20.0),
    "memory": memory,
    "pipeline": pipeline,
    "pipeline-memory": pipeline_memory,
}


def measure(picture: Path, sound: Path, folder: Path) -> Run:
    """Run ``sadtalker animate`` as a person would, and watch it from outside."""
    output = folder / "bench.mp4"
    return watch(["sadtalker_ext", "animate", str(picture), str(sound), "-o", str(output), "--json"], folder)


def rehearse(folder: Path, side_px: int, voice_s: float) -> Run:
    """The same with the engine sadtalker and stand-ins for its networks."""
    files = portrait(folder, side_px), voice(folder, voice_s), folder / "bench.mp4"
    return watch(["sadtalker_ext.cli.bench_pipeline", *map(str, files)], folder)


def watch(module: list[str], folder: Path) -> Run:
    """Run a module with its arguments that prints a result as JSON, and watch it from outside."""
    command, log = [sys.executable, "-m", *module], folder / "bench.log"
    with log.open("w") as stderr, (folder / "bench.json").open("w+") as stdout:
        began_s = time.perf_counter()
        child = subprocess.Popen(command, stdout=stdout, stderr=stderr)
        first_s, peaks = 0.0, dict.fromkeys((ALL, OWN))
        try:
            while child.poll() is None:
                time.sleep(SAMPLE_EVERY_S if first_s else SAMPLE_EVERY_S / 5)
                if not first_s and re.search(r" 1/\d+ ", log.read_text()):
                    first_s = time.perf_counter() - began_s
                for kind, peak in peaks.items():
                    peaks[kind] = max(filter(None, (peak, tree_memory_mb(child.pid, kind))), default=None)
        finally:
            child.kill()
            child.wait()
        wall_s = time.perf_counter() - began_s
        stdout.seek(0)
        words = stdout.read()
    if child.returncode != 0:
        raise EngineError(f"The measured program failed: {log.read_text().strip().splitlines()[-1]}")
    return Run(json.loads(words), first_s, wall_s, *peaks.values())


def portrait(folder: Path, side_px: int) -> Path:
    """The demo's photograph at this size."""
    from PIL import Image

    from sadtalker_ext.video.image_formats import open_image

    path = folder / f"astronaut_{side_px}.png"
    if not path.exists():
        open_image(demo_portrait()).convert("RGB").resize((side_px, side_px), Image.LANCZOS).save(path)
    return path


def voice(folder: Path, length_s: float) -> Path:
    """The demo's voice, over and over, for this long."""
    from sadtalker_ext.audio.speech import SAMPLE_RATE_HZ, open_speech

    path = folder / f"voice_{length_s:g}.wav"
    if not path.exists():
        pulses = (open_speech(demo_voice()).samples() * 32767).astype("<i2").tobytes()
        wanted = 2 * round(length_s * SAMPLE_RATE_HZ)
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", ""))
            for start in range(0, wanted, len(pulses)):
                file.writeframes(pulses[: wanted - start])
    return path


def table(measures: list[Measure]) -> list[str]:
    """One line for each figure, with its bar and whether it was met."""
    words = {True: "met", False: "MISSED", None: "not measured on this system"}
    lines = []
    for m in measures:
        value = "-" if m.value is None else f"{m.value:.2f}"
        lines.append(f"{m.name:<42} {value:>9} {m.unit:<9} {'<=' if m.at_most else '>='} {m.bar:<7g} {words[m.met]}")
    return lines
