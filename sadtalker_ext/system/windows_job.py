"""The Windows job object that ends child processes together with this process.

Source: Microsoft, "Job Objects" and JOBOBJECT_EXTENDED_LIMIT_INFORMATION (winnt.h). The handle is never closed by this
process; Windows closes it when the process ends for any reason and kills the processes of the job.
"""

from __future__ import annotations

import ctypes
import logging
import subprocess
import sys
from functools import lru_cache
from typing import Final

log = logging.getLogger(__name__)

_EXTENDED_LIMIT_INFORMATION: Final = 9
_KILL_ON_JOB_CLOSE: Final = 0x2000


class _BasicLimits(ctypes.Structure):
    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", ctypes.c_uint32),
        ("MinimumWorkingSetSize", ctypes.c_size_t),
        ("MaximumWorkingSetSize", ctypes.c_size_t),
        ("ActiveProcessLimit", ctypes.c_uint32),
        ("Affinity", ctypes.c_size_t),
        ("PriorityClass", ctypes.c_uint32),
        ("SchedulingClass", ctypes.c_uint32),
    )


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("BasicLimitInformation", _BasicLimits),
        ("IoInfo", ctypes.c_uint64 * 6),
        ("ProcessMemoryLimit", ctypes.c_size_t),
        ("JobMemoryLimit", ctypes.c_size_t),
        ("PeakProcessMemoryUsed", ctypes.c_size_t),
        ("PeakJobMemoryUsed", ctypes.c_size_t),
    )


if sys.platform == "win32":

    @lru_cache(maxsize=1)
    def _job() -> tuple[ctypes.WinDLL, int]:
        """Return kernel32 and the job of this process; OSError if Windows cannot create it."""
        kernel = ctypes.WinDLL("kernel32", use_last_error=True)
        kernel.CreateJobObjectW.restype = ctypes.c_void_p
        kernel.CreateJobObjectW.argtypes = (ctypes.c_void_p, ctypes.c_wchar_p)
        kernel.SetInformationJobObject.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint32)
        kernel.AssignProcessToJobObject.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
        job = kernel.CreateJobObjectW(None, None)
        limits = ExtendedLimits()
        limits.BasicLimitInformation.LimitFlags = _KILL_ON_JOB_CLOSE
        if not job or not kernel.SetInformationJobObject(
            job, _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
        ):
            raise ctypes.WinError(ctypes.get_last_error())
        return kernel, job

    def bind_to_job(child: subprocess.Popen[bytes]) -> None:
        """Let ``child`` end with this process; log a message if Windows does not allow it."""
        try:
            kernel, job = _job()
            if not kernel.AssignProcessToJobObject(job, int(child._handle)):  # type: ignore[attr-defined]
                raise ctypes.WinError(ctypes.get_last_error())
        except OSError as e:
            log.debug("process %d may outlive this process: %s", child.pid, e)
