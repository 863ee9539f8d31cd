"""Freed memory is used again instead of being returned to the operating system."""

import platform
import subprocess
import sys

import pytest

COUNT_FAULTS = """
import resource, sys
import numpy as np
from sadtalker_ext.system.reused_memory import reuse_freed_memory
if sys.argv[1] == "reuse":
    reuse_freed_memory()
def write():
    np.ones(300_000, np.float64)
write()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    write()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators have no such limit")
def test_blocks_of_some_megabytes_are_not_mapped_again():
    faults = {
        mode: int(subprocess.check_output([sys.executable, "-c", COUNT_FAULTS, mode], timeout=60))
        for mode in ("reuse", "default")
    }
    assert faults["reuse"] < min(100, faults["default"]), "page faults of 20 blocks of 2.4 MB"
