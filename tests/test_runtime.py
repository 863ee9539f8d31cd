"""The runtime is resolved when asked, and refuses what the machine has not."""

import pytest
import torch

from sadtalker_ext.errors import EngineError
from sadtalker_ext.runtime import CPU_BATCH, Runtime, usable_cores


def test_auto_takes_what_is_there():
    assert Runtime().torch_device().type in {"cpu", "cuda", "mps"}
    assert Runtime(device="cpu").torch_device() == torch.device("cpu")
    assert Runtime().cpu_threads() == usable_cores() >= 1
    assert Runtime(threads=3).cpu_threads() == 3
    assert Runtime(device="cpu").frames_at_once() == CPU_BATCH
    assert Runtime(batch_size=7).frames_at_once() == 7


@pytest.mark.parametrize("device", ["toaster", "cuda:99", ""])
def test_a_device_that_is_not_there(device):
    with pytest.raises(EngineError, match=r"cannot be used .*try --device auto or cpu"):
        Runtime(device=device).torch_device()


def test_number_types_are_those_the_engine_offers():
    assert Runtime().torch_dtype(("float32", "float16")) is torch.float32
    assert Runtime(dtype="float16").torch_dtype(("float32", "float16")) is torch.float16
    with pytest.raises(EngineError, match="computes in float32, not in 'float16'"):
        Runtime(dtype="float16").torch_dtype()
