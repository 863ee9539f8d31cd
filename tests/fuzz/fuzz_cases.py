"""Number and seed of the generated cases, and the checks that every case passes."""

import contextlib
import functools
import io
import json
import os
import signal
import tempfile
import time

import hypothesis
from hypothesis import HealthCheck, Phase

from sadtalker_ext.cli.main import main
from sadtalker_ext.errors import SadTalkerError

SEED = int(os.environ.get("FUZZ_SEED", "0"))
LIMIT_S = 20.0
"""Longest duration of a case; the slowest make a video in about a second."""
LONGEST_MESSAGE = 1300
TRACES = ("Traceback", "Internal error", 'File "', "site-packages", " object at 0x", "<class '")
"""Parts of messages for programmers."""


counts = {"cases": 0, "expected": 0, "share": 0}
"""Cases that ran, cases of the tests that ran, and the sum of all shares, for the summary and its test."""


def property_of(share, **strategies):
    """Decorate a test with generated arguments, the same in every run; ``share`` is its part of all cases in percent.

    The variable FUZZ_CASES has the number of all cases; tests/conftest.py sets its default.
    """
    cases = max(1, round(int(os.environ["FUZZ_CASES"]) * share / 100))
    settings = hypothesis.settings(
        max_examples=cases,
        deadline=None,
        database=None,
        print_blob=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
    )
    counts["share"] += share

    def decorate(test):
        @functools.wraps(test)
        def counted(*arguments, **values):
            test(*arguments, **values)
            counts["cases"] += 1

        run = hypothesis.seed(SEED)(settings(hypothesis.given(**strategies)(counted)))

        @functools.wraps(run)
        def once(*arguments, **values):
            counts["expected"] += cases
            run(*arguments, **values)

        return once

    return decorate


@contextlib.contextmanager
def time_limit(seconds=LIMIT_S):
    """Interrupt the block after ``seconds``, where the system has signals; check its duration everywhere."""

    def stop(*_):
        raise AssertionError(f"the case takes longer than {seconds:g} s")

    can_interrupt = hasattr(signal, "setitimer")
    if can_interrupt:
        previous = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    began_s = time.monotonic()
    try:
        yield
    finally:
        if can_interrupt:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, previous)
    assert time.monotonic() - began_s < seconds


def check_message(text):
    """Check that a message is a sentence for users."""
    assert text.strip()
    assert len(text) < LONGEST_MESSAGE, text
    assert "\n" not in text.strip(), text
    assert tempfile.gettempdir() not in text, text
    assert [part for part in TRACES if part in text] == []


class Place:
    """A folder for the files of the cases, and another one for temporary files, which must stay empty."""

    def __init__(self, folder):
        self.folder, self.temporary = folder / "files", folder / "temporary"
        self.folder.mkdir()
        self.temporary.mkdir()

    def write(self, name, content):
        path = self.folder / name
        path.write_bytes(content)
        return path

    def entries(self):
        return {(path, path.lstat().st_size) for root in (self.folder, self.temporary) for path in root.rglob("*")}

    @contextlib.contextmanager
    def unchanged(self):
        """Check that the block leaves no file behind and changes none."""
        before = self.entries()
        yield
        assert self.entries() == before

    def read(self, function, *arguments):
        """Call a reader of a file; return its result, or None after a SadTalkerError with a sentence."""
        with time_limit(), self.unchanged():
            try:
                return function(*arguments)
            except SadTalkerError as error:
                check_message(str(error))
                return None

    def run(self, *arguments):
        """Run a command line that fails with a sentence and writes nothing, or succeeds; return code and output."""
        before, out, err = self.entries(), io.StringIO(), io.StringIO()
        with time_limit(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                code = main([str(argument) for argument in arguments])
            except SystemExit as stop:  # of argparse
                code = stop.code
        assert code in (0, 2), err.getvalue()
        if code:
            assert self.entries() == before
            assert out.getvalue() == ""
            check_message(err.getvalue().strip().splitlines()[-1])
            assert err.getvalue().startswith(("sadtalker: ", "usage: ")), err.getvalue()
        else:
            made = {path for path, _ in self.entries() - before}
            assert not [path for path in made if path.name.startswith(".") or self.temporary in path.parents]
        return code, out.getvalue()


def check_response(response):
    """Check a response of the REST API: success, or 4xx with a sentence as JSON; return whether it is a success."""
    assert response.status_code < 500, response.text
    if response.status_code < 400:
        return True
    detail = json.loads(response.text)["detail"]
    assert isinstance(detail, str), detail
    check_message(detail)
    return False
