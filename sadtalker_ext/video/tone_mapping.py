"""Conversion of HDR and wide-gamut frames to sRGB.

PQ and HLG are converted to light relative to reference white (ITU-R BT.2100 and BT.2408: 203 cd/m2), highlights are
compressed by the curve of ITU-R BT.2390, section 5.4, and colours outside sRGB are clipped. Values up to half of
reference white, among them most skin, keep their brightness. Frames with a transfer function of standard range are
decoded and encoded with the curve of sRGB, so that grey is unchanged, as in videos without wide gamut.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.video.colour_tags import ColourTags

Floats = NDArray[np.float32]

WHITE_NITS: Final = 203.0
"""Reference white of HDR (BT.2408); it becomes the white of sRGB before highlights are compressed."""
PEAK_NITS: Final = 1000.0
"""Nominal peak of HLG, and of most PQ videos; brighter parts are clipped."""
HLG_GAMMA: Final = 1.2
"""System gamma for a display of 1000 cd/m2 (BT.2100, table 5)."""
ENTRIES: Final = 1 << 16
"""Size of tables; frames have 16 bits per sample."""
TO_BT709: Final = {
    "bt2020": ((1.660491, -0.587641, -0.072850), (-0.124550, 1.132900, -0.008349), (-0.018151, -0.100579, 1.118730)),
    "smpte432": ((1.224940, -0.224940, 0.0), (-0.042057, 1.042057, 0.0), (-0.019638, -0.078636, 1.098274)),
}
"""Matrices from linear RGB to that of BT.709 (from the primaries in BT.2020 and SMPTE EG 432-1; white D65)."""
LUMINANCE_BT2020: Final = (0.2627, 0.6780, 0.0593)
ROWS: Final = 256
"""Rows that are converted at once, to limit the memory of large pictures."""


def convert_to_srgb(frame: NDArray[np.uint16], tags: ColourTags) -> Frame:
    """Return a frame (H, W, 3) of 16-bit RGB in the colour space of ``tags`` as 8-bit sRGB."""
    converted = np.empty(frame.shape, np.uint8)
    for start in range(0, len(frame), ROWS):
        converted[start : start + ROWS] = _encode(_to_bt709(_linear(frame[start : start + ROWS], tags), tags))
    return converted


def _linear(frame: NDArray[np.uint16], tags: ColourTags) -> Floats:
    """Return light relative to white, at most 1, with the primaries of the frame."""
    light = _decoding_table(tags.transfer)[frame]
    if not tags.is_hdr:
        return light
    if tags.transfer == "arib-std-b67":
        luminance = light @ np.array(LUMINANCE_BT2020, np.float32)
        light *= np.power(np.maximum(luminance, 1e-6), HLG_GAMMA - 1.0)[..., None] * (PEAK_NITS / WHITE_NITS)
    brightest = light.max(axis=2)
    peak = PEAK_NITS / WHITE_NITS
    index = np.sqrt(np.minimum(brightest, peak) * (1.0 / peak)) * (ENTRIES - 1)  # finer steps for dark values
    light *= _compression_table()[index.astype(np.uint16)][..., None]
    return light


@lru_cache(maxsize=8)
def _decoding_table(transfer: str) -> Floats:
    """Return the light of each 16-bit value: relative to white, for HLG of the scene (0 to 1)."""
    signal = np.linspace(0.0, 1.0, ENTRIES)
    if transfer == "smpte2084":
        light = _pq_nits(signal) / WHITE_NITS
    elif transfer == "arib-std-b67":
        light = _hlg_scene(signal)
    elif transfer == "linear":
        light = signal
    else:
        light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4)
    return light.astype(np.float32)


def _pq_nits(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the light of PQ values in cd/m2 (BT.2100, table 4)."""
    power = signal ** (32 / 2523)
    ratio = np.maximum(power - 0.8359375, 0.0) / (18.8515625 - 18.6875 * power)
    nits: NDArray[np.float64] = 10000.0 * ratio ** (16384 / 2610)
    return nits


def _pq_signal(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    power = (nits / 10000.0) ** (2610 / 16384)
    signal: NDArray[np.float64] = ((0.8359375 + 18.8515625 * power) / (1.0 + 18.6875 * power)) ** (2523 / 32)
    return signal


def _hlg_scene(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the light of the scene of HLG values (BT.2100, table 5)."""
    return np.where(signal <= 0.5, signal**2 / 3.0, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12.0)


@lru_cache(maxsize=1)
def _compression_table() -> Floats:
    """Return the factor by which the curve of BT.2390 changes light, by the square root of its share of the peak."""
    light = np.linspace(0.0, 1.0, ENTRIES) ** 2 * PEAK_NITS
    source, white = (float(_pq_signal(np.array(nits))) for nits in (PEAK_NITS, WHITE_NITS))
    signal, highest = _pq_signal(light) / source, white / source
    knee = 1.5 * highest - 0.5
    part = np.clip((signal - knee) / (1.0 - knee), 0.0, 1.0)
    curve = (2 * part**3 - 3 * part**2 + 1) * knee + (part**3 - 2 * part**2 + part) * (1 - knee)
    curve += (3 * part**2 - 2 * part**3) * highest
    compressed = _pq_nits(np.where(signal <= knee, signal, curve) * source)
    factors = np.ones(ENTRIES)
    factors[1:] = compressed[1:] / light[1:]
    return factors.astype(np.float32)


def _to_bt709(light: Floats, tags: ColourTags) -> Floats:
    matrix = TO_BT709.get(tags.primaries.replace("431", "432"))
    return light if matrix is None else light @ np.array(matrix, np.float32).T


@lru_cache(maxsize=1)
def _encoding_table() -> NDArray[np.uint8]:
    """Return the sRGB value of light from 0 to 1, by its square root, which has finer steps for dark values."""
    light = np.linspace(0.0, 1.0, ENTRIES) ** 2
    signal = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    encoded: NDArray[np.uint8] = np.rint(signal * 255.0).astype(np.uint8)
    return encoded


def _encode(light: Floats) -> Frame:
    index = np.sqrt(np.clip(light, 0.0, 1.0)) * (ENTRIES - 1)
    encoded: Frame = _encoding_table()[index.astype(np.uint16)]
    return encoded
