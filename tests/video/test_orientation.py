"""Orientation: each format that states one is turned exactly once, in every supported version of Pillow."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.video.picture import read_picture

LIMIT_PX = 2048
FORMATS = {
    "png": {}, "jpg": {"quality": 100, "subsampling": 0}, "webp": {"lossless": True}, "tif": {},
    "lzw.tif": {"compression": "tiff_lzw"}, "deflate.tif": {"compression": "tiff_adobe_deflate"},
    "mpo": {"quality": 100, "subsampling": 0},
}  # fmt: skip
"""Name endings of the files, and options with which Pillow writes them (almost) without loss."""
if ".avif" in Image.registered_extensions():
    FORMATS["avif"] = {"quality": 100, "subsampling": "4:4:4"}


@pytest.fixture
def scene():
    """A smooth picture (80, 120, 3) whose corners differ."""
    rows, columns = np.mgrid[0:80, 0:120]
    return np.stack([rows * 2, columns * 2, 255 - rows - columns], axis=2).astype(np.uint8)


def stored(scene, orientation):
    """The pixels that a file with this orientation stores; the 8 cases of the TIFF 6.0 specification, page 36."""
    return np.ascontiguousarray({
        1: scene, 2: scene[:, ::-1], 3: scene[::-1, ::-1], 4: scene[::-1], 5: scene.transpose(1, 0, 2),
        6: np.rot90(scene), 7: scene[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(scene, -1),
    }[orientation])  # fmt: skip


def exif_data(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    return exif


def check(path, scene, tolerance):
    picture = read_picture(path, LIMIT_PX)
    assert picture.original_size_px == (120, 80)
    assert picture.pixels.shape == scene.shape
    assert np.abs(picture.pixels.astype(int) - scene).mean() <= tolerance


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("orientation", range(1, 9))
def test_each_format_is_turned_once(tmp_path, scene, ending, orientation):
    path = tmp_path / f"a.{ending}"
    image, more = Image.fromarray(stored(scene, orientation)), {}
    if ending == "mpo":
        more = {"save_all": True, "append_images": [image.resize((64, 64))]}
    image.save(path, exif=exif_data(orientation), **FORMATS[ending], **more)
    check(path, scene, 0 if ending.endswith(("png", "webp", "tif")) else 3)


def png_chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def test_png_with_exif_data_after_the_picture(tmp_path, scene):
    Image.fromarray(stored(scene, 6)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    exif = png_chunk(b"eXIf", exif_data(6).tobytes().removeprefix(b"Exif\0\0"))
    (tmp_path / "a.png").write_bytes(data[:-12] + exif + data[-12:])
    check(tmp_path / "a.png", scene, 0)


def test_orientation_in_xmp_data_is_not_used(tmp_path, scene):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", '<rdf:Description tiff:Orientation="6"/>')
    Image.fromarray(scene).save(tmp_path / "a.png", pnginfo=info)
    check(tmp_path / "a.png", scene, 0)


def twelve_bit_tiff(pixels, orientation):
    """An uncompressed TIFF file of 16-bit samples, little-endian, with the 12-bit values of 8-bit ``pixels``."""
    height, width = pixels.shape[:2]
    data = np.rint(pixels * (4095 / 255)).astype("<u2").tobytes()
    tags = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14),
        (274, 3, 1, orientation), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(data)),
    ]  # fmt: skip
    entries = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + b"\0\0\0\0"
    return b"II*\0" + struct.pack("<IHHH", 14 + len(data), 16, 16, 16) + data + entries


@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_twelve_bit_tiff_is_turned_once(tmp_path, scene, orientation):
    (tmp_path / "a.tif").write_bytes(twelve_bit_tiff(stored(scene, orientation), orientation))
    check(tmp_path / "a.tif", scene, 0)


@pytest.mark.parametrize("value", [0, 9, 65535])
def test_unknown_orientation_leaves_the_picture(tmp_path, scene, value):
    Image.fromarray(scene).save(tmp_path / "a.jpg", exif=exif_data(value), quality=100)
    check(tmp_path / "a.jpg", scene, 3)
