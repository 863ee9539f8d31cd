"""Measurement of a portrait's lips: which openings and widths the face tracker sees in rendered frames of it.

A few frames are rendered and measured before the first video, which takes about 0.1 s of processor time at 512 px. In
16 recordings of speakers that were not learned, the r of the finished mouth's opening with theirs rises by 0.03 for a
smiling portrait, whose teeth the tracker takes for the edge of the lip.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.starter.lip_response import TrackedOpenings
from sadtalker_ext.metrics.sync import with_opening, with_width
from sadtalker_ext.puppet.basis import MOUTH_SHAPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sadtalker_ext.arrays import Float32Array, Float64Array, Frame
    from sadtalker_ext.engines.starter.lip_response import LipResponse

PROBED_OPENINGS: Final = (0.0, 0.08, 0.16, 0.24, 0.32, 0.42, 0.55, 0.75)
"""Openings of the measured frames; speech seldom exceeds the last."""
PROBED_WIDTHS: Final = (0.9, 1.1)
"""Widths of the measured frames, relative to the mouth at rest."""
COMPUTED_SHARE: Final = 0.1
"""Share of the computed opening in the result, so that no part of the curve is flat."""
MIN_SEEN_SHARE: Final = 0.5
"""Smallest share of the computed range that must be seen; the tracker does not follow the lips of some drawings."""
SPOKEN_OPENINGS: Final = (0.05, 0.5)
"""Openings between which the share of the width is measured; the corners of closed lips are seen less well."""
WIDTH_SHARES: Final = (0.55, 1.2)
"""Limits of the measured share: a smaller one would exaggerate the movement of the corners."""
CURVE_POINTS: Final = 81
SMOOTHNESS: Final = 3
"""Standard deviation, in points of the curve, of the weights with which measured openings are averaged."""


def calibrate_lips(
    response: LipResponse, mesh: Float32Array, render: Callable[[Float32Array], Iterable[Frame]]
) -> LipResponse:
    """Return the response with what the tracker sees of the openings; unchanged if it does not see them.

    mesh: (478, 3) of the portrait's face in pixels. render: gives the frames of mouth coefficients (N, 8).
    """
    openings = np.tile(np.array(PROBED_OPENINGS, np.float32), len(PROBED_WIDTHS))
    widths = np.repeat(np.array(PROBED_WIDTHS, np.float32), len(PROBED_OPENINGS))
    mouth = with_opening(np.zeros((len(openings), len(MOUTH_SHAPES)), np.float32), openings)
    measured = _measure(render(with_width(mouth, widths, response.excess_width)), mesh)
    if measured is None:
        return response
    rows, seen_widths = measured.T.reshape(2, len(PROBED_WIDTHS), -1)
    computed_range = PROBED_OPENINGS[-1] * response.jaw_opening
    if (rows[:, -1] - rows[:, 0]).min() < MIN_SEEN_SHARE * computed_range:
        return response
    commanded = np.linspace(0.0, 1.0, CURVE_POINTS)
    curves = np.stack([_curve(row, commanded, response.jaw_opening) for row in rows])
    # The tracker sees a narrow mouth farther open than a wide one, even with closed lips; these stay closed at 0.
    seen = np.maximum(curves - curves[:, 0].mean(), COMPUTED_SHARE * response.jaw_opening * commanded)
    table = (np.asarray(part, np.float32) for part in (commanded, PROBED_WIDTHS, seen))
    share, rise = _width_response(seen_widths, rows)
    return replace(response, openings=TrackedOpenings(*table), width_share=share, width_rise=rise)


def _width_response(widths: Float64Array, openings: Float64Array) -> tuple[float, float]:
    """Return ``width_share`` and ``width_rise`` of a :class:`LipResponse` from tracked widths and openings (W, N)."""
    relative = widths / widths[:, 0].mean()
    spoken = (np.array(PROBED_OPENINGS) > SPOKEN_OPENINGS[0]) & (np.array(PROBED_OPENINGS) < SPOKEN_OPENINGS[1])
    share = float((relative[-1] - relative[0])[spoken].mean()) / (PROBED_WIDTHS[-1] - PROBED_WIDTHS[0])
    rise = float(np.polyfit(np.maximum.accumulate(openings.mean(0)), relative.mean(0), 1)[0])
    return float(np.clip(share, *WIDTH_SHARES)), rise


def _measure(frames: Iterable[Frame], mesh: Float32Array) -> Float64Array | None:
    """Return the tracked opening and width of each frame (N, 2); None if the face is not found in one of them."""
    from sadtalker_ext.faces.mesh_provider import follow_each
    from sadtalker_ext.geometry.measures import mouth_opening, mouth_width

    faces = list(follow_each(frames, mesh))
    found = [face for face in faces if face is not None]
    return np.array([(mouth_opening(face), mouth_width(face)) for face in found]) if len(found) == len(faces) else None


def _curve(measured: Float64Array, commanded: Float64Array, jaw_opening: float) -> Float64Array:
    """Return the ascending curve (N,) of the openings seen at ``commanded`` (N,).

    measured: (K,) openings seen at :data:`PROBED_OPENINGS`.
    """
    ascending = (np.maximum.accumulate(measured) + np.minimum.accumulate(measured[::-1])[::-1]) / 2.0
    beyond = ascending[-1] + (1.0 - PROBED_OPENINGS[-1]) * jaw_opening
    curve = np.interp(commanded, (*PROBED_OPENINGS, 1.0), (*ascending, beyond))
    reach = 2 * SMOOTHNESS
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / SMOOTHNESS) ** 2)
    padded = np.pad(curve, reach, mode="reflect", reflect_type="odd")
    smooth = np.convolve(padded, weights / weights.sum(), mode="valid")
    mixed: Float64Array = (1.0 - COMPUTED_SHARE) * smooth + COMPUTED_SHARE * jaw_opening * commanded
    return mixed
