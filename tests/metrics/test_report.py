"""Tables and JSON of figures."""

import json
import math

from sadtalker_ext.metrics.report import Figure, overall, to_json, to_table

REPORT = {
    "anna": [Figure("r", 0.5, "", "higher", "agreement"), Figure("lag", -40.0, "ms", across="median")],
    "bert": [Figure("r", 0.7), Figure("lag", 120.0, "ms", across="median"), Figure("psnr", math.inf, "dB")],
    "carl": [Figure("r", math.nan), Figure("lag", 0.0, "ms", across="median"), Figure("other", None)],
}


def test_overall_is_mean_or_median_of_what_was_measured():
    assert overall(REPORT, "r") == 0.6
    assert overall(REPORT, "lag") == 0.0
    assert overall(REPORT, "other") is None
    assert overall(REPORT, "psnr") is None


def test_table_has_a_row_per_figure_and_a_column_per_clip():
    lines = to_table(REPORT).splitlines()
    assert lines[0].split() == ["figure", "anna", "bert", "carl", "overall", "unit"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    assert rows["r"] == ["0.5", "0.7", "-", "0.6", "higher", "is", "better"]
    assert rows["lag"] == ["-40", "120", "0", "0", "ms"]
    assert rows["psnr"] == ["-", "inf", "-", "-", "dB"]
    assert "overall" not in to_table({"anna": REPORT["anna"]})


def test_json_is_strict_and_keeps_units():
    content = json.loads(to_json(REPORT), parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
    assert content["clips"]["anna"] == {"r": 0.5, "lag": -40.0}
    assert content["clips"]["bert"]["psnr"] is None
    assert content["overall"]["lag"] == 0.0
    assert content["figures"]["r"]["better"] == "higher"


def test_big_numbers_are_not_written_with_exponents():
    assert Figure("jitter", 123456.0).shown() == "123456"
    assert Figure("small", 0.00001234).shown() == "1.234e-05"
