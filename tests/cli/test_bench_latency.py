"""The timer that runs during a video measures its delays."""

from __future__ import annotations

from pathlib import Path

import pytest

from sadtalker_ext.cli import bench
from sadtalker_ext.cli.bench_latency import lateness, lateness_during_video
from sadtalker_ext.errors import EngineError


def test_lateness_is_what_a_sleep_took_beyond_the_interval() -> None:
    now, delays = [0.0], [0.0, 0.25, 0.003]

    def sleep(seconds: float) -> None:
        now[0] += seconds + delays.pop(0)

    assert lateness(lambda: bool(delays), sleep, lambda: now[0]) == pytest.approx([0.0, 0.25, 0.003])


def test_a_real_timer_is_late_by_what_the_machine_takes() -> None:
    late_s = lateness(iter([True] * 5 + [False]).__next__)
    assert len(late_s) == 5
    assert all(0.0 <= late < 10.0 for late in late_s)


def test_the_99th_percentile_is_reported_in_milliseconds(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bench, "write_portrait", lambda *_: tmp_path / "a.png")
    monkeypatch.setattr(bench, "write_voice", lambda *_: tmp_path / "a.wav")
    monkeypatch.setattr(bench, "lateness_during_video", lambda *_: [n / 1000.0 for n in range(1, 101)])
    (measured,) = bench.measure_latency(tmp_path)
    assert (measured.value, measured.unit, measured.bar, measured.at_most) == (pytest.approx(99.01), "ms", 20.0, True)


def test_a_failed_video_is_reported(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="failed"):
        lateness_during_video(Path("--no-such-option"), tmp_path / "a.wav", tmp_path / "out.mp4")
