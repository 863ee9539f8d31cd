"""Command ``sadtalker bench renderer``: the official generator, with random weights, on this machine.

Each combination of size, dtype and mode runs in a separate process, which is also a program:
``python -m sadtalker_ext.cli.bench_renderer SIZE DTYPE MODE DEVICE ROUNDS [OFFICIAL_FOLDER]`` prints one JSON object.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sadtalker_ext.errors import EngineError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from sadtalker_ext.models.generator import Generator

SIZES: Final = (256, 512)
DTYPES: Final = ("float32", "bfloat16", "float16")
MODES: Final = ("eager", "compiled", "graphs")
ROUNDS: Final = 3
"""Timed frames of each kind; the fastest counts, because other programs can only slow a frame down."""
LIMIT_S: Final = 20.0
"""No further frames are timed after this time: a frame takes half a minute at 512 pixels on one core."""
OFFICIAL_GFLOP: Final = {256: 1203.2, 512: 4813.0}
"""Operations of the official code per frame, counted with ``torch.utils.flop_counter``."""
MATRIX_SIDE: Final = 1024
"""Side of the square matrices whose product is the measure of the machine."""
OFFICIAL_ARGUMENTS: Final[dict[str, Any]] = {
    "num_kp": 15, "image_channel": 3, "feature_channel": 32, "estimate_jacobian": False, "block_expansion": 64,
    "max_features": 512, "num_down_blocks": 2, "reshape_channel": 32, "reshape_depth": 16, "num_resblocks": 6,
    "estimate_occlusion_map": True,
    "dense_motion_params": {
        "block_expansion": 32, "max_features": 1024, "num_blocks": 5, "reshape_depth": 16, "compress": 4,
    },
}  # fmt: skip
"""Arguments of ``OcclusionAwareSPADEGenerator`` in the official ``facerender.yaml``."""


@dataclass(frozen=True)
class Inputs:
    """A portrait (1, 3, S, S) and its keypoints and those of a frame, (1, 15, 3)."""

    image: Tensor
    source: Tensor
    driving: Tensor


def run_child(size_px: int, dtype: str, mode: str, where: tuple[str, Path | None]) -> dict[str, Any]:
    """Measure one combination in a new process. where: device, and folder of the official code."""
    device, against = where
    command = [sys.executable, "-m", __name__, str(size_px), dtype, mode, device, str(ROUNDS)]
    done = subprocess.run(
        [*command, *([str(against)] if against else [])], capture_output=True, text=True, encoding="utf-8", check=False
    )
    named = {"size_px": size_px, "dtype": dtype, "mode": mode}
    if done.returncode != 0:
        return named | {"refused": (done.stderr.strip().splitlines() or ["it was stopped"])[-1]}
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return named | result


def measure(size_px: int, mode: str, options: tuple[str, str, int], against: Path | None) -> dict[str, Any]:
    """Measure one combination. options: dtype, device, timed frames."""
    import torch

    from sadtalker_ext.cli.process_memory import peak_memory_mb, reset_peak_memory
    from sadtalker_ext.engines.sadtalker.renderer import open_renderer, psnr_db
    from sadtalker_ext.models.folding import fold
    from sadtalker_ext.runtime import Runtime

    dtype, device_name, rounds = options
    runtime = Runtime(device=device_name, dtype=dtype)
    device = runtime.torch_device()
    inputs = make_inputs(size_px, device)
    renderer = open_renderer(lambda keep: fold(seeded_generator(), keep), runtime, device)
    render: Callable[..., Tensor] = torch.compile(renderer.render) if mode == "compiled" else renderer.render
    with torch.inference_mode():
        encoded = renderer.encode_source(inputs.image)
        calls = {"ours": lambda: render(encoded, inputs.source, inputs.driving)}
        if mode == "graphs":
            calls["ours"] = recorded(calls["ours"], device)
        if against is not None:
            calls["official"] = official_call(against, inputs)
        reset_peak_memory(device.type)
        frame = calls["ours"]().float()
        result: dict[str, Any] = {"peak_mb": peak_memory_mb(device.type)}
        exact = frame if against is None else calls["official"]()
        seconds = fastest(calls, rounds, device)
        result |= {"s_per_frame": seconds["ours"], "matrix_gflop_per_s": matrix_rate(device, getattr(torch, dtype))}
        result["fraction_of_matrix_rate"] = OFFICIAL_GFLOP[size_px] / seconds["ours"] / result["matrix_gflop_per_s"]
        if mode == "eager":
            result["stages_s"] = stage_seconds(renderer, inputs, rounds, device)
        if against is not None:
            result |= {
                "official_s_per_frame": seconds["official"], "ratio": seconds["official"] / seconds["ours"],
                "max_difference": (frame - exact).abs().max().item(), "psnr_db": psnr_db(exact, frame),
            }  # fmt: skip
    return result


def recorded(call: Callable[[], Tensor], device: torch.device) -> Callable[[], Tensor]:
    """Return a function that replays the kernels of ``call`` as one CUDA graph; EngineError without CUDA."""
    import torch

    if device.type != "cuda":
        raise EngineError(f"CUDA graphs cannot be measured on the device {device.type!r}; choose another mode")
    beside = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    beside.wait_stream(torch.cuda.current_stream(device))
    with torch.cuda.stream(beside):
        call()  # libraries choose their algorithms, which cannot be recorded
    torch.cuda.current_stream(device).wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        frame = call()

    def replay() -> Tensor:
        graph.replay()
        return frame

    return replay


def fastest(calls: dict[str, Callable[[], Any]], rounds: int, device: torch.device) -> dict[str, float]:
    """Return the seconds of the fastest of ``rounds`` alternating calls of each kind, all called before.

    After :data:`LIMIT_S`, the round is finished and no further one begins.
    """
    best = dict.fromkeys(calls, float("inf"))
    wait_for(device)
    first_s = time.perf_counter()
    for _ in range(rounds):
        for name, call in calls.items():
            began_s = time.perf_counter()
            call()
            wait_for(device)
            best[name] = min(best[name], time.perf_counter() - began_s)
        if time.perf_counter() - first_s > LIMIT_S:
            break
    return best


def stage_seconds(renderer: Any, inputs: Inputs, rounds: int, device: torch.device) -> dict[str, float]:  # noqa: ANN401 - either form of the generator
    """Return the seconds of each stage of a frame."""
    generator: Generator = getattr(renderer, "generator", renderer)
    encoded = renderer.encode_source(inputs.image)
    motion = generator.dense_motion_network(encoded.compressed, inputs.source, inputs.driving)
    guide = renderer.guide(encoded, motion)
    return fastest(
        {
            "source, once per portrait": partial(renderer.encode_source, inputs.image),
            "dense motion": partial(generator.dense_motion_network, encoded.compressed, inputs.source, inputs.driving),
            "warp": partial(renderer.guide, encoded, motion),
            "decoder": partial(renderer.decoder, guide),
        },
        rounds,
        device,
    )


def make_inputs(size_px: int, device: torch.device) -> Inputs:
    """Return the inputs, the same in every process."""
    import torch

    from sadtalker_ext.weights.random_weights import normal, uniform

    image = torch.from_numpy(uniform(f"in.image{size_px}", (1, 3, size_px, size_px)))
    source = 0.3 * torch.from_numpy(normal("in.source", (1, 15, 3)))
    driving = source + 0.1 * torch.from_numpy(normal("in.driving", (1, 15, 3)))
    return Inputs(*(part.to(device) for part in (image, source, driving)))


def seeded_generator() -> Generator:
    """Return the official generator with reproducible random weights."""
    from sadtalker_ext.models.generator import Generator
    from sadtalker_ext.weights.random_weights import random_state

    network = Generator()
    network.load_state_dict(random_state("generator.", network))
    return network


def official_call(folder: Path, inputs: Inputs) -> Callable[[], Tensor]:
    """Return a function that renders with the official code in ``folder`` and the same weights."""
    sys.path.insert(0, str(folder))
    try:
        from src.facerender.modules.generator import (
            OcclusionAwareSPADEGenerator,
        )
    except ImportError as e:
        raise EngineError(f"{folder} has no official SadTalker code ({e}); name the folder that contains src") from e
    network = OcclusionAwareSPADEGenerator(**OFFICIAL_ARGUMENTS)
    network.load_state_dict(seeded_generator().state_dict())
    network.eval().to(inputs.image.device)
    source, driving = {"value": inputs.source}, {"value": inputs.driving}

    def render() -> Tensor:
        frame: Tensor = network(inputs.image, kp_source=source, kp_driving=driving)["prediction"]
        return frame

    return render


def matrix_rate(device: torch.device, dtype: torch.dtype) -> float:
    """Return how many GFLOP of matrix products the machine computes in a second."""
    import torch

    a = torch.randn(MATRIX_SIDE, MATRIX_SIDE, device=device).to(dtype)
    repeats = 1 if device.type == "cpu" else 100

    def multiply() -> None:
        for _ in range(repeats):
            torch.mm(a, a)

    multiply()
    seconds = fastest({"product": multiply}, 5, device)["product"]
    return repeats * 2 * MATRIX_SIDE**3 / seconds / 1e9


def wait_for(device: torch.device) -> None:
    """Wait until the device has finished its work."""
    import torch

    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def format_result(result: dict[str, Any]) -> list[str]:
    """Return the lines for one combination: its speed, its stages and the comparison."""
    r, name = result, f"{result['size_px']} {result['dtype']:<8} {result['mode']:<8}"
    if "refused" in r:
        return [f"{name} not measured: {r['refused']}"]
    peak = "-" if r["peak_mb"] is None else f"{r['peak_mb']:.0f} MB"
    share = f"{100 * r['fraction_of_matrix_rate']:.0f} % of {r['matrix_gflop_per_s']:.0f} GFLOP/s"
    lines = [f"{name} {r['s_per_frame']:.3f} s per frame, {share}, peak {peak}"]
    lines += [f"    {stage:<28} {seconds:.3f} s" for stage, seconds in r.get("stages_s", {}).items()]
    if "ratio" in r:
        lines.append(
            f"    official code {r['official_s_per_frame']:.3f} s per frame: {r['ratio']:.2f} times as long; "
            f"largest difference {r['max_difference']:.1e}, PSNR {r['psnr_db']:.1f} dB"
        )
    return lines


def main(arguments: Sequence[str]) -> int:
    """Measure one combination and print the result as JSON, or the reason why it cannot be measured."""
    size_px, dtype, mode, device, rounds = arguments[:5]
    against = Path(arguments[5]) if arguments[5:] else None
    try:
        print(json.dumps(measure(int(size_px), mode, (dtype, device, int(rounds)), against)))
    except EngineError as e:
        sys.stderr.write(f"{e}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
