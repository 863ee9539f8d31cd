"""The starter engine computes in float32; other dtypes and unavailable devices are refused when it is opened."""

import pytest

from sadtalker_ext.engines.session import open_engine
from sadtalker_ext.errors import EngineError
from sadtalker_ext.runtime import Runtime


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "double"])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(EngineError, match=f"computes in float32, not in '{dtype}'; choose the dtype 'auto'"):
        open_engine("starter", runtime=Runtime(dtype=dtype))


def test_float32_is_accepted():
    open_engine("starter", runtime=Runtime(dtype="float32")).close()


@pytest.mark.parametrize("device", ["cuda:99", "toaster"])
def test_an_unavailable_device_is_refused_when_the_engine_is_opened(device):
    with pytest.raises(EngineError, match=f"The device '{device}' cannot be used"):
        open_engine("starter", runtime=Runtime(device=device))
