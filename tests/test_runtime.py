"""The runtime resolves its settings on demand and rejects what the machine lacks."""

import pytest
import torch

from sadtalker_ext.errors import EngineError
from sadtalker_ext.runtime import CPU_BATCH, Runtime, is_out_of_memory, usable_cores


def test_auto_selects_what_is_available():
    assert Runtime().torch_device().type in {"cpu", "cuda", "mps"}
    assert Runtime(device="cpu").torch_device() == torch.device("cpu")
    assert Runtime().cpu_threads() == usable_cores() >= 1
    assert Runtime(threads=3).cpu_threads() == 3
    assert Runtime(device="cpu").frames_per_batch() == CPU_BATCH
    assert Runtime(batch_size=7).frames_per_batch() == 7


@pytest.mark.parametrize("device", ["toaster", "cuda:99", "", "meta", "meta:0", "hpu", "privateuseone"])
def test_unavailable_device_is_rejected(device):
    with pytest.raises(EngineError, match=r"cannot be used .*choose the device 'auto' or 'cpu'"):
        Runtime(device=device).torch_device()


def test_dtype_must_be_one_that_the_engine_offers():
    assert Runtime().torch_dtype(("float32", "float16")) is torch.float32
    assert Runtime(dtype="float16").torch_dtype(("float32", "float16")) is torch.float16
    with pytest.raises(EngineError, match="computes in float32, not in 'float16'"):
        Runtime(dtype="float16").torch_dtype()


@pytest.mark.parametrize(
    "message",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB",
        "MPS backend out of memory (MPS allocated: 18.00 GB)",
        "[enforce fail at alloc_cpu.cpp:113] DefaultCPUAllocator: can't allocate memory: you tried to allocate",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes",
        "OSError: [Errno 12] Cannot allocate memory",
    ],
)
def test_messages_about_memory_are_recognised(message):
    assert is_out_of_memory(RuntimeError(message))


def test_other_errors_are_not_about_memory():
    assert is_out_of_memory(MemoryError())
    assert not is_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
