"""The runtime resolves its settings on demand and rejects what the machine lacks."""

import pytest
import torch

from sadtalker_ext import runtime
from sadtalker_ext.errors import EngineError
from sadtalker_ext.runtime import CPU_BATCH, Runtime, is_out_of_memory, offered_dtypes, usable_cores


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
    ("text", "offered"),
    [
        ("processor: 0\nflags\t\t: fpu avx512f avx512_bf16 gfni\n", ("float32", "bfloat16")),
        ("flags : fpu amx_bf16\n", ("float32", "bfloat16")),
        ("Features : fp asimd bf16 i8mm\n", ("float32", "bfloat16")),
        ("flags : fpu avx2 avx512f avx512_bf\nbugs : bf16\n", ("float32",)),
        ("", ("float32",)),
        (None, ("float32",)),
    ],
)
def test_bfloat16_is_offered_only_on_a_cpu_that_has_it(text, offered, tmp_path, monkeypatch):
    info, cpu = tmp_path / "cpuinfo", torch.device("cpu")
    if text is not None:
        info.write_text(text)
    monkeypatch.setattr(runtime, "CPU_INFO", info)
    assert offered_dtypes(cpu) == offered
    assert Runtime().torch_dtype_on(cpu) is torch.float32
    if "bfloat16" in offered:
        assert Runtime(dtype="bfloat16").torch_dtype_on(cpu) is torch.bfloat16
    else:
        with pytest.raises(EngineError, match=r"'cpu' .*does not compute in 'bfloat16' by itself, only in float32;"):
            Runtime(dtype="bfloat16").torch_dtype_on(cpu)


@pytest.mark.parametrize("dtype", ["float16", "float64", "half", ""])
def test_dtypes_that_no_cpu_offers_are_refused(dtype):
    with pytest.raises(EngineError, match=f"{dtype!r}.*choose the dtype 'auto'"):
        Runtime(dtype=dtype).torch_dtype_on(torch.device("cpu"))


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
