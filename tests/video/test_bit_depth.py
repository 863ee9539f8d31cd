"""Samples of other depths than 8 bits, and transparency stored as a colour."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.video.picture import read_picture

LIMIT_PX = 2048
HEIGHT, WIDTH = 80, 128
RAMP = np.repeat(np.linspace(0, 1, WIDTH)[None], HEIGHT, axis=0)
COLOURS = np.stack([RAMP, RAMP[:, ::-1], RAMP * 0.5], axis=2)
"""A picture of values from 0 to 1 whose channels differ."""
BRIGHTENED = "12-bit values in 16-bit samples"


def png(kind, depth, rows, *chunks):
    """A PNG file from the bytes of each row (PNG specification, section 11)."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", WIDTH, HEIGHT, depth, kind, 0, 0, 0)
    body = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        chunk(*one) for one in ((b"IHDR", header), *chunks, (b"IDAT", body), (b"IEND", b""))
    )


def grey_png(values, *chunks):
    return png(0, 16, [row.astype(">u2").tobytes() for row in values], *chunks)


def colour_png(values, *chunks):
    return png(2, 16, [row.astype(">u2").tobytes() for row in values], *chunks)


def read(path, content=None):
    if content is not None:
        path.write_bytes(content)
    return read_picture(path, LIMIT_PX)


@pytest.mark.parametrize(("bits", "noted"), [(8, True), (10, True), (12, True), (14, False), (16, False)])
def test_values_that_use_12_bits_or_fewer_are_brightened(tmp_path, bits, noted):
    full = 2**bits - 1
    picture = read(tmp_path / "a.png", grey_png(np.rint(RAMP * full)))
    expected = RAMP * 255 if noted else RAMP * 255 * full / 65535
    assert np.abs(picture.pixels[..., 0] - expected).max() <= 0.51
    assert [f"{bits}-bit" in note for note in picture.notes] == ([True] if noted else [])


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.ppm"])
@pytest.mark.parametrize("alpha", [False, True])
def test_colour_keeps_all_12_bits(tmp_path, name, alpha):
    """Pillow keeps the upper byte, which has 16 levels; the oracle is the picture itself."""
    values = np.rint(COLOURS * 4095).astype(np.uint16)
    if alpha and name == "a.ppm":
        pytest.skip("the format has no transparency")
    if name == "a.ppm":
        (tmp_path / name).write_bytes(f"P6 {WIDTH} {HEIGHT} 65535\n".encode() + values.astype(">u2").tobytes())
    else:
        opaque = np.full((HEIGHT, WIDTH, 1), 4095, np.uint16)
        stored = values[..., ::-1]  # OpenCV writes blue first
        cv2.imwrite(str(tmp_path / name), np.concatenate([stored, opaque], axis=2) if alpha else stored)
    picture = read(tmp_path / name)
    assert np.abs(picture.pixels - COLOURS * 255).max() <= 0.6
    assert len(picture.notes) == 1
    assert BRIGHTENED in picture.notes[0]


def test_dark_pictures_of_16_bits_stay_dark(tmp_path):
    picture = read(tmp_path / "a.png", colour_png(np.rint(COLOURS * 12000)))
    assert picture.pixels.max() == pytest.approx(12000 / 257, abs=1)
    assert picture.notes == ()


def test_transparent_colour_of_16_bits(tmp_path):
    """Only the exact 16-bit colour is transparent, not those with the same upper bytes."""
    values = np.full((HEIGHT, WIDTH, 3), 0x8000)
    values[:, 64:] = 0x80FF
    picture = read(tmp_path / "a.png", colour_png(values, (b"tRNS", struct.pack(">HHH", *[0x8000] * 3))))
    assert np.all(picture.pixels[:, :64] == 255)
    assert np.all(picture.pixels[:, 64:] == 128)
    grey = read(tmp_path / "b.png", grey_png(values[..., 0], (b"tRNS", struct.pack(">H", 0x8000))))
    assert np.array_equal(grey.pixels, picture.pixels)
    assert "white" in grey.notes[0]


@pytest.mark.parametrize(("depth", "level"), [(1, 0), (2, 1), (4, 5), (8, 77)])
def test_transparent_grey_of_few_bits(tmp_path, depth, level):
    """The left half has the transparent level, the right half the highest one but one (black for 1 bit: white)."""
    other = {1: 1, 2: 2, 4: 14, 8: 200}[depth]
    levels = np.repeat([level, other], WIDTH // 2)
    bits = np.unpackbits(levels.astype(np.uint8)[:, None], axis=1)[:, -depth:]
    row = np.packbits(bits.reshape(-1)).tobytes()
    picture = read(tmp_path / "a.png", png(0, depth, [row] * HEIGHT, (b"tRNS", struct.pack(">H", level))))
    assert np.all(picture.pixels[:, : WIDTH // 2] == 255)
    assert np.all(picture.pixels[:, WIDTH // 2 :] == round(other * 255 / (2**depth - 1)))
    assert "white" in picture.notes[0]


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_transparent_palette_entries(tmp_path, name):
    image = Image.fromarray(np.rint(COLOURS * 255).astype(np.uint8)).quantize(16)
    hidden = np.asarray(image) == 3
    shown = np.asarray(image.convert("RGB"))[~hidden]
    image.save(tmp_path / name, transparency=3)
    pixels = read(tmp_path / name).pixels
    assert np.all(pixels[hidden] == 255)
    assert np.abs(pixels[~hidden].astype(int) - shown).max() <= 1


def test_palette_entries_with_partial_transparency(tmp_path):
    image = Image.fromarray(np.tile(np.arange(3, dtype=np.uint8), (HEIGHT, WIDTH))[:, :WIDTH], "P")
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 100, 0])
    image.save(tmp_path / "a.png", transparency=bytes([0, 128, 255]))
    pixels = read(tmp_path / "a.png").pixels[0, :3].astype(int)
    assert np.abs(pixels - [(255, 255, 255), (227, 127, 127), (0, 100, 0)]).max() <= 1
