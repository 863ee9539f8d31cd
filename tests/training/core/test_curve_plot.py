"""SVG plots: one polyline per column at the correct heights, escaped titles."""

import xml.etree.ElementTree as ET

import numpy as np

from sadtalker_ext.training.core.curve_plot import write_track_plot

SVG = "{http://www.w3.org/2000/svg}"


def test_plot_is_valid_svg_with_one_polyline_per_column(tmp_path):
    ramp = np.linspace(-10, 10, 50)
    write_track_plot(tmp_path / "p.svg", {"a < b": np.stack([ramp, -ramp], axis=1), "c": ramp[:, None]}, low=-5, high=5)
    root = ET.parse(tmp_path / "p.svg").getroot()
    curves = root.findall(f"{SVG}polyline")
    assert len(curves) == 3
    assert [text.text for text in root.findall(f"{SVG}text")] == ["a < b", "c"]
    heights = [float(point.split(",")[1]) for point in curves[0].get("points").split()]
    assert heights[0] == max(heights)
    assert heights[-1] == min(heights)
    assert np.ptp(heights) == 90.0
