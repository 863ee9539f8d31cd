"""Tables and JSON of metrics."""

import json
import math

from sadtalker_ext.metrics.report import Metric, overall, to_json, to_table

REPORT = {
    "anna": [Metric("r", 0.5, "", "higher", "agreement"), Metric("lag", -40.0, "ms", across="median")],
    "bert": [Metric("r", 0.7), Metric("lag", 120.0, "ms", across="median"), Metric("psnr", math.inf, "dB")],
    "carl": [Metric("r", math.nan), Metric("lag", 0.0, "ms", across="median"), Metric("other", None)],
}


def test_overall_is_mean_or_median_of_the_measured_values():
    assert overall(REPORT, "r") == 0.6
    assert overall(REPORT, "lag") == 0.0
    assert overall(REPORT, "other") is None
    assert overall(REPORT, "psnr") is None


def test_table_has_a_row_per_metric_and_a_column_per_clip():
    lines = to_table(REPORT).splitlines()
    assert lines[0].split() == ["metric", "anna", "bert", "carl", "overall", "unit"]
    rows = {line.split()[0]: line.split()[1:] for line in lines[2:]}
    assert rows["r"] == ["0.5", "0.7", "-", "0.6", "higher", "is", "better"]
    assert rows["lag"] == ["-40", "120", "0", "0", "ms"]
    assert rows["psnr"] == ["-", "inf", "-", "-", "dB"]
    assert "overall" not in to_table({"anna": REPORT["anna"]})


def test_many_clips_are_summarised():
    many = {f"clip{number}": [Metric("r", number / 10), Metric("fid", None)] for number in range(9)}
    many["all frames"] = [Metric("fid", 12.0, "", "lower")]
    lines = to_table(many).splitlines()
    assert lines[0].split() == ["metric", "overall", "lowest", "highest", "clips", "unit"]
    rows = {line.split()[0]: line.split()[1:5] for line in lines[2:]}
    assert rows["r"] == ["0.4", "0", "0.8", "9"]
    assert rows["fid"] == ["12", "12", "12", "1"]


def test_clips_that_failed_are_in_the_json():
    assert "failed" not in json.loads(to_json(REPORT))
    assert json.loads(to_json(REPORT, {"dora": "no face"}))["failed"] == {"dora": "no face"}


def test_json_is_strict_and_has_units():
    content = json.loads(to_json(REPORT), parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
    assert content["clips"]["anna"] == {"r": 0.5, "lag": -40.0}
    assert content["clips"]["bert"]["psnr"] is None
    assert content["overall"]["lag"] == 0.0
    assert content["figures"]["r"]["better"] == "higher"


def test_large_numbers_have_no_exponent():
    assert Metric("jitter", 123456.0).format_value() == "123456"
    assert Metric("small", 0.00001234).format_value() == "1.234e-05"
