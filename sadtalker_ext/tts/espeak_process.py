"""Speech of espeak-ng from a new process for each part of a text.

The library keeps a state from one text to the next that changes the speech slightly; a new process always gives the
same samples. It also confines errors of the library, which is written in C and reads text of any origin.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import MediaError

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Samples

TIME_LIMIT_S: Final = 60.0
"""A part of a text takes about 0.3 s."""
_PROGRAM: Final = """
import sys
sys.path.insert(0, sys.argv[1])
from sadtalker_ext.tts.espeak_process import serve_request
serve_request()
"""


def synthesise_in_subprocess(voice: str, text: str, rate_wpm: int) -> Samples:
    """Return the speech of ``text``, mono samples (N,) in [-1, 1]; MediaError if espeak-ng cannot read it.

    voice: code of a language, also with a variant, such as ``en-us+f2``. rate_wpm: words per minute.
    """
    import numpy as np

    root = Path(__file__).parents[2]
    request = json.dumps({"voice": voice, "text": text, "rate_wpm": rate_wpm}).encode()
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, str(root)], input=request, capture_output=True, timeout=TIME_LIMIT_S,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as e:
        raise MediaError(f"espeak-ng cannot read the text aloud ({e}); choose another voice") from e
    if done.returncode:
        lines = done.stderr.decode("utf-8", "replace").strip().splitlines() or [f"exit code {done.returncode}"]
        reason = lines[-1].partition("Error: ")[2] or lines[-1]
        raise MediaError(f"espeak-ng cannot read the text aloud ({reason}); choose another voice")
    return np.frombuffer(done.stdout, "<f4")


def serve_request() -> None:
    """Read one request from standard input and write its samples to standard output."""
    from sadtalker_ext.tts.espeak_library import EspeakSettings, synthesise

    request = json.loads(sys.stdin.buffer.read())
    samples, _, _ = synthesise(request["voice"], request["text"], EspeakSettings(request["rate_wpm"]))
    sys.stdout.buffer.write(samples.astype("<f4").tobytes())
