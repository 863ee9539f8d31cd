"""One CPU thread for networks of small operators.

Torch divides each operator among the threads of OpenMP, which wait for each other in a busy loop. The operators of the
networks for faces and speech take some 20 microseconds, so that more threads gain little on an idle machine; beside
other busy processes they wait for a thread that has no core: five times the CPU time, and up to ten times as long.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_torch_thread() -> Iterator[None]:
    """Within the block, or the decorated function, the CPU operators that this thread starts use one thread.

    No other thread is affected, neither one that runs nor one that starts meanwhile.
    """
    import torch

    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    _set_for_this_thread(1, default=before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _set_for_this_thread(count: int, default: int) -> None:
    """Set the number of threads of this thread, and that of new threads to ``default``.

    ``torch.set_num_threads`` sets both, because OpenMP keeps a number for each thread. The second call, in another
    thread, changes only the number of new threads.
    """
    import torch

    torch.set_num_threads(count)
    other = threading.Thread(target=torch.set_num_threads, args=(default,), name="torch-threads")
    other.start()
    other.join()
