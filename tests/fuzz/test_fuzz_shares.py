"""The shares of all properties are 100 percent, so that the number of cases is the one asked for."""

from pathlib import Path

import fuzz_cases


def test_the_shares_are_all_cases():
    for path in Path(__file__).parent.glob("test_*.py"):
        __import__(path.stem)
    assert fuzz_cases.counts["share"] == 100
