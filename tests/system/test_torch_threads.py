"""Networks of small operators run on one thread, without an effect on other threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import pytest
import torch

from sadtalker_ext.audio.speech import silence
from sadtalker_ext.engines.protocol import MotionStyle
from sadtalker_ext.engines.starter.engine import StarterEngine
from sadtalker_ext.faces.networks import FaceNetworks
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.system.torch_threads import one_torch_thread
from sadtalker_ext.weights.face_networks import PERSON_SEGMENTER

T = TypeVar("T")
SEVERAL = 3


def in_new_thread(work: Callable[[], T]) -> T:
    """Return the result of ``work`` in a thread that has not used torch."""
    results: list[T] = []
    thread = threading.Thread(target=lambda: results.append(work()))
    thread.start()
    thread.join()
    return results[0]


@pytest.fixture(autouse=True)
def several_threads() -> Iterator[None]:
    """Use three threads, as on a machine with as many cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(SEVERAL)
    yield
    torch.set_num_threads(before)


def test_only_the_thread_of_the_block_is_limited() -> None:
    running, stop, seen = threading.Event(), threading.Event(), []

    def other() -> None:
        torch.zeros(1).add_(1)
        running.set()
        stop.wait()
        seen.append(torch.get_num_threads())

    thread = threading.Thread(target=other)
    thread.start()
    running.wait()
    with one_torch_thread():
        assert torch.get_num_threads() == 1
        assert in_new_thread(torch.get_num_threads) == SEVERAL
        stop.set()
        thread.join()
    assert seen == [SEVERAL]
    assert torch.get_num_threads() == SEVERAL
    assert in_new_thread(torch.get_num_threads) == SEVERAL


def test_threads_are_restored_after_an_error() -> None:
    with pytest.raises(ValueError, match="wrong"), one_torch_thread():
        raise ValueError("wrong")
    assert torch.get_num_threads() == SEVERAL


def test_nested_blocks_stay_limited() -> None:
    with one_torch_thread():
        with one_torch_thread():
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 1


def test_the_starter_engine_predicts_motion_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, seen = StarterEngine(Runtime(device="cpu")), []
    analyse = engine._mouth_motion.analyse

    def watched(*arguments: object) -> object:
        seen.append(torch.get_num_threads())
        return analyse(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(engine._mouth_motion, "analyse", watched)
    engine.predict_motion(silence(0.4), engine.neutral_motion(), MotionStyle())
    engine.read_speech(silence(0.4))
    assert seen == [1, 1]


def test_the_face_networks_run_on_one_thread() -> None:
    networks, seen = FaceNetworks(), []

    def segment(pictures: torch.Tensor) -> torch.Tensor:
        seen.append(torch.get_num_threads())
        return pictures[:, 0]

    networks._loaded[PERSON_SEGMENTER.name] = segment
    networks.segment([np.zeros((256, 256, 3), np.uint8)])
    assert seen == [1]
