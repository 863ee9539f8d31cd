"""Command ``sadtalker bench renderer``: options, refusals, and the comparison with another implementation."""

import json
import mmap
import sys
import types

import pytest
import torch

from sadtalker_ext.cli import bench, bench_renderer
from sadtalker_ext.cli.bench_renderer import fastest, format_result, make_inputs, measure
from sadtalker_ext.cli.process_memory import peak_memory_mb, reset_peak_memory
from sadtalker_ext.errors import EngineError
from sadtalker_ext.models.dense_motion import DenseMotionConfig
from sadtalker_ext.models.generator import Generator, GeneratorConfig
from sadtalker_ext.weights.random_weights import random_state

MOTION = DenseMotionConfig(feature_channels=8, base_channels=8, max_channels=16, levels=1, depth=4)
SMALL = GeneratorConfig(base_channels=8, max_channels=32, depth=4, resblocks=1, motion=MOTION)
CPU = torch.device("cpu")
BLOCK_BYTES = 80_000_000


def seeded():
    network = Generator(SMALL)
    network.load_state_dict(random_state("generator.", network))
    return network


class Official(Generator):
    """Our reference modules under the name and with the calls of the official code."""

    def __init__(self, **arguments):
        assert arguments["num_kp"] == 15
        super().__init__(SMALL)

    def forward(self, image, kp_source, kp_driving):
        return {"prediction": super().forward(image, kp_source["value"], kp_driving["value"])}


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(bench_renderer, "seeded_generator", seeded)
    monkeypatch.setattr(bench_renderer, "OFFICIAL_GFLOP", {64: 1.0})


def test_a_measurement_is_compared_with_the_other_code_in_the_same_run(small, monkeypatch, tmp_path):
    module = types.ModuleType("src.facerender.modules.generator")
    module.OcclusionAwareSPADEGenerator = Official
    monkeypatch.setitem(sys.modules, "src.facerender.modules.generator", module)
    result = measure(64, "eager", ("float32", "cpu", 1), tmp_path)
    assert result["max_difference"] < 1e-3
    assert result["psnr_db"] > 80
    assert result["ratio"] == pytest.approx(result["official_s_per_frame"] / result["s_per_frame"])
    assert result["fraction_of_matrix_rate"] == pytest.approx(
        1.0 / result["s_per_frame"] / result["matrix_gflop_per_s"]
    )
    assert set(result["stages_s"]) == {"source, once per portrait", "dense motion", "warp", "decoder"}
    assert "times as long" in format_result({"size_px": 64, "dtype": "float32", "mode": "eager"} | result)[-1]


def test_a_folder_without_the_official_code_is_refused(tmp_path):
    with pytest.raises(EngineError, match="has no official SadTalker code"):
        bench_renderer.official_call(tmp_path, make_inputs(64, CPU))


@pytest.fixture
def pausing(monkeypatch):
    """Functions that take so long on a clock that nothing else moves."""
    now = [0.0]
    monkeypatch.setattr(bench_renderer, "time", types.SimpleNamespace(perf_counter=lambda: now[0]))

    def make(**seconds):
        given = {name: iter(values) for name, values in seconds.items()}
        return {name: lambda left=left: now.__setitem__(0, now[0] + next(left)) for name, left in given.items()}

    return make


def test_the_fastest_of_alternating_calls_counts(pausing):
    assert fastest(pausing(a=(4, 1, 2), b=(2, 3, 5)), 3, CPU) == {"a": 1, "b": 2}


@pytest.mark.parametrize(("limit_s", "rounds"), [(0, 1), (4, 1), (5, 2), (11, 3)])
def test_no_round_begins_after_the_limit_but_every_call_is_timed(pausing, monkeypatch, limit_s, rounds):
    monkeypatch.setattr(bench_renderer, "LIMIT_S", limit_s)
    seconds = {"a": (3, 2, 1), "b": (2, 4, 1)}
    best = fastest(pausing(**seconds), 3, CPU)
    assert best == {name: min(values[:rounds]) for name, values in seconds.items()}


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_begins_again():
    with mmap.mmap(-1, BLOCK_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as block:  # the heap might keep freed memory
        for start in range(0, BLOCK_BYTES, mmap.PAGESIZE):
            block[start] = 1
        before = peak_memory_mb("cpu")
    reset_peak_memory("cpu")
    assert peak_memory_mb("cpu") < before - 40


def test_a_child_process_reports_why_it_cannot_measure():
    result = bench_renderer.run_child(256, "float16", "eager", ("cpu", None))
    assert result["refused"].startswith("The device 'cpu' of this machine does not compute in 'float16' by itself")
    assert "not measured: The device" in format_result(result)[0]


def test_graphs_are_refused_without_cuda():
    with pytest.raises(EngineError, match="CUDA graphs cannot be measured on the device 'cpu'"):
        bench_renderer.recorded(lambda: torch.zeros(1), CPU)


def test_command_runs_the_chosen_combinations(program, monkeypatch):
    asked = []

    def run_child(size_px, dtype, mode, where):
        asked.append((size_px, dtype, mode, where))
        return {"size_px": size_px, "dtype": dtype, "mode": mode, "refused": "no"}

    monkeypatch.setattr(bench, "run_child", run_child)
    assert program("bench", "renderer", "--size", "256", "--dtype", "float32", "--json") == 0
    assert asked == [(256, "float32", "eager", ("auto", None))]
    assert json.loads(program.out)[0]["refused"] == "no"
    assert program("bench", "renderer", "--mode", "eager", "--mode", "compiled") == 0
    assert len(asked) == 1 + 2 * 3 * 2
    assert program("bench", "renderer", "memory") == 2
    assert "name it alone" in program.err
