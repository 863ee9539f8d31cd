"""Importing is cheap and starts no process, thread or connection and writes no file."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "sadtalker_ext"


MEASURE = """
import time
start = time.perf_counter()
import argparse, decimal, email.parser, http.client, json, logging, pathlib, unittest
known = time.perf_counter() - start
start = time.perf_counter()
import sadtalker_ext
own = time.perf_counter() - start
import sys
ours = [name for name in sys.modules if name.startswith("sadtalker_ext")]
print(known, own, len(ours), len({"numpy", "torch"} & set(sys.modules)))
"""


def test_importing_the_package_is_nearly_free():
    """Less than 50 ms, or on a slow machine less than some modules of the standard library in the same run."""
    command = [sys.executable, "-c", MEASURE]
    runs = [subprocess.run(command, capture_output=True, check=True, text=True).stdout.split() for _ in range(3)]
    known_s, own_s, modules, heavy = (min(map(float, column)) for column in zip(*runs, strict=True))
    assert (modules, heavy) == (1, 0)
    assert own_s < max(0.050, known_s)


WATCHED = '''
import sys, threading
watched = {"subprocess.Popen", "os.system", "os.fork", "os.posix_spawn", "os.exec", "socket.connect", "urllib.Request",
         "os.mkdir", "os.remove", "os.rename", "shutil.copyfile", "tempfile.mkstemp"}
events = []
def owner(frame):
    """Whose code acts: the innermost file that is ours or a foreign package's; Python's own files act for others."""
    while frame is not None:
        path = frame.f_code.co_filename
        if "site-packages" in path or "sadtalker_ext" in path:
            return path
        frame = frame.f_back
    return ""
def listen(event, arguments):
    writes = event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+")
    if (event in watched or writes) and "__pycache__" not in repr(arguments):
        if "site-packages" not in owner(sys._getframe(1)):
            events.append((event, repr(arguments)[:200]))
sys.addaudithook(listen)
import importlib, logging
# It logs that it builds its list of fonts where that takes longer than five seconds.
logging.getLogger("matplotlib").setLevel(logging.ERROR)
missing = []
for name in sys.argv[1:]:
    events.clear()
    threads = set(threading.enumerate())
    try:
        importlib.import_module(name)
    except ImportError as error:
        if (error.name or "").startswith("sadtalker_ext"):
            raise
        missing.append(error.name)
    new = [thread.name for thread in set(threading.enumerate()) - threads]
    for event in events:
        print(name, *event)
    for thread in new:
        print(name, "thread", thread)
'''


def test_importing_any_module_does_nothing():
    """Importing creates no process, connection, folder, file or thread; optional packages may be missing."""
    files = [path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"]
    names = [".".join(("sadtalker_ext", *file.relative_to(PACKAGE).with_suffix("").parts)) for file in files]
    names = [name.removesuffix(".__init__") for name in names if not name.endswith("__main__")]
    command = [sys.executable, "-B", "-c", WATCHED, *names]  # -B: Python would write the bytecode of new modules
    run = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (run.returncode, run.stderr[-2000:], run.stdout) == (0, "", "")
