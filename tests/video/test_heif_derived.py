"""HEIF images that are made of others (overlays, grids of derived images), alpha planes, and other codings."""

import struct

import numpy as np
import pytest
from heif_files import FULL_RANGE, HeifWriter, box, encode, full_box, hevc_tiles, nclx
from PIL import Image

from sadtalker_ext.errors import MediaError
from sadtalker_ext.video import heif_picture, image_formats
from sadtalker_ext.video.heif_derived import Overlay, compose
from sadtalker_ext.video.picture import read_picture

SIZE = 64
LOSS = 3
"""Mean difference of coded pictures; an image that is missing or elsewhere gives more than 20."""
FULL_601 = nclx(1, 13, 6, full=True)
ALPHA = full_box("auxC", 0, 0, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
EXTENT = full_box("ispe", 0, 0, struct.pack(">II", SIZE, SIZE))


@pytest.fixture(scope="module")
def scenes():
    """Two smooth pictures of 64 px with few colours in common."""
    rows, columns = np.mgrid[0:SIZE, 0:SIZE]
    first = np.stack([30 + rows * 2, 20 + columns, 230 - rows - columns], axis=2).astype(np.uint8)
    return first, np.ascontiguousarray(first[::-1, :, ::-1])


@pytest.fixture(scope="module")
def coded(scenes):
    return hevc_tiles(scenes, filters=FULL_RANGE)


def add_images(writer, coded):
    kind, configuration, parts = coded
    return [writer.add(kind, part, configuration, EXTENT, FULL_601) for part in parts]


def add_overlay(writer, size, places, sources, fill=(0, 0, 0, 65535)):
    content = struct.pack(">BB4HHH", 0, 0, *fill, *size)
    number = writer.add("iovl", content + b"".join(struct.pack(">hh", *place) for place in places))
    writer.refer("dimg", number, sources)
    return number


def add_alpha(writer, values, number, filters="format=gray"):
    """Add an alpha plane; returns nothing."""
    plane = np.repeat(values[..., None], 3, axis=2)
    kind, configuration, parts = hevc_tiles([plane], "gray", filters)
    writer.refer("auxl", writer.add(kind, parts[0], configuration, EXTENT, ALPHA), [number])


def read(tmp_path, content):
    (tmp_path / "a.heic").write_bytes(content)
    return read_picture(tmp_path / "a.heic", 2048, "portrait")


def difference(pixels, expected):
    assert pixels.shape == expected.shape
    return np.abs(pixels.astype(int) - expected).mean()


def pasted(size, places, pictures, fill, alphas=(None, None)):
    """Return the overlay as Pillow composes it."""
    canvas = Image.new("RGBA", size, fill)
    for place, picture, alpha in zip(places, pictures, alphas, strict=True):
        layer = Image.new("RGBA", size)
        image = Image.fromarray(picture)
        image.putalpha(255 if alpha is None else Image.fromarray(alpha))
        layer.paste(image, place)
        canvas = Image.alpha_composite(canvas, layer)
    return canvas


@pytest.mark.parametrize(
    "places", [[(0, 0), (30, 20)], [(40, 40), (60, 60)], [(-20, -30), (50, -10)], [(-64, 5), (100, 0)]]
)
def test_overlays_place_images_on_a_canvas(tmp_path, scenes, coded, places):
    writer = HeifWriter()
    number = add_overlay(writer, (100, 80), places, add_images(writer, coded), (0x8000, 0x4000, 0x2000, 0xFFFF))
    expected = np.asarray(pasted((100, 80), places, scenes, (128, 64, 32, 255)).convert("RGB"))
    picture = read(tmp_path, writer.write(number))
    assert difference(picture.pixels, expected) < LOSS
    assert picture.notes == ()


def test_transparent_images_and_canvases_are_mixed(tmp_path, scenes, coded):
    alpha = np.tile(np.linspace(0, 255, SIZE).astype(np.uint8), (SIZE, 1))
    writer, places = HeifWriter(), [(0, 0), (30, 20)]
    sources = add_images(writer, coded)
    add_alpha(writer, alpha, sources[1])
    number = add_overlay(writer, (100, 80), places, sources, (0, 0, 0, 0))
    canvas = pasted((100, 80), places, scenes, (0, 0, 0, 0), (None, alpha))
    white = Image.alpha_composite(Image.new("RGBA", canvas.size, "white"), canvas)
    picture = read(tmp_path, writer.write(number))
    assert difference(picture.pixels, np.asarray(white.convert("RGB"))) < LOSS
    assert "white" in picture.notes[0]


def test_pillow_agrees_about_mixed_pixels():
    random = np.random.default_rng(0)
    layers = [random.integers(0, 256, (20, 30, 4), np.uint8) for _ in range(3)]
    canvas = Image.new("RGBA", (30, 20))
    for layer in layers:
        canvas.alpha_composite(Image.fromarray(layer))
    mixed = compose(Overlay((0, 0, 0, 0), (30, 20), [(0, 0)] * 3), layers)
    assert np.abs(mixed.astype(int) - np.asarray(canvas)).max() <= 2


def test_the_range_of_an_alpha_plane_is_not_expanded(tmp_path, scenes, coded):
    """All values of the plane count, even if its stream states 16 to 235."""
    writer = HeifWriter()
    number = add_images(writer, coded)[0]
    add_alpha(writer, np.full((SIZE, SIZE), 128, np.uint8), number, "format=gray,setparams=range=tv")
    expected = scenes[0] * (128 / 255) + 255 * (127 / 255)
    assert difference(read(tmp_path, writer.write(number)).pixels, expected) < 1.5


def test_tiles_of_a_grid_may_be_derived_images(tmp_path, scenes, coded):
    writer = HeifWriter()
    first, second = add_images(writer, coded)
    turned = writer.add("iden", b"", box("irot", b"\2"))
    writer.refer("dimg", turned, [second])
    grid = writer.add("grid", struct.pack(">BBBBHH", 0, 0, 0, 1, 120, SIZE))
    writer.refer("dimg", grid, [first, turned])
    expected = np.concatenate([scenes[0], np.rot90(scenes[1], 2)], axis=1)[:, :120]
    assert difference(read(tmp_path, writer.write(grid)).pixels, expected) < LOSS


def avc_item(frame):
    arguments = ["-vf", f"{FULL_RANGE},format=yuv444p", "-c:v", "libx264", "-x264-params", "keyint=1:qp=2"]
    units = encode([frame], arguments, "h264").replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")[1:]
    sets = [[unit for unit in units if unit[0] & 31 == kind] for kind in (7, 8)]
    lists = [b"".join(struct.pack(">H", len(unit)) + unit for unit in found) for found in sets]
    configuration = (
        bytes([1, *sets[0][0][1:4], 0xFF, 0xE0 | len(sets[0])]) + lists[0] + bytes([len(sets[1])]) + lists[1]
    )
    slices = b"".join(struct.pack(">I", len(unit)) + unit for unit in units if unit[0] & 31 == 5)
    return "avc1", slices, box("avcC", configuration)


def jpeg_item(frame, *, shared):
    """Return an item of JPEG data; ``shared``: its first segment is a property, as of files with several pictures."""
    data = encode([frame], ["-vf", FULL_RANGE, "-c:v", "mjpeg", "-q:v", "1", "-pix_fmt", "yuvj444p"], "mjpeg")
    return ("jpeg", data[2:], box("jpgC", data[:2])) if shared else ("jpeg", data)


@pytest.mark.parametrize("kind", ["avc", "jpeg", "jpeg with shared header"])
def test_other_codings(tmp_path, scenes, kind):
    item = avc_item(scenes[0]) if kind == "avc" else jpeg_item(scenes[0], shared=kind != "jpeg")
    writer = HeifWriter()
    number = writer.add(*item, EXTENT, FULL_601)
    assert difference(read(tmp_path, writer.write(number, b"mif1")).pixels, scenes[0]) < LOSS


def test_pictures_that_depend_on_others_are_named(tmp_path, coded, monkeypatch):
    monkeypatch.setattr(image_formats, "OPENED", ("PNG",))  # no plugin of Pillow
    writer = HeifWriter()
    kind, configuration, parts = coded
    number = writer.add(kind, parts[0], configuration, EXTENT, full_box("rref", 0, 0, b"\1pred"))
    with pytest.raises(MediaError, match=r"depends on another picture.*save it as PNG"):
        read(tmp_path, writer.write(number))


def hostile(kind, writer, coded):
    """Return the number of an image that is never finished, or takes very long."""
    sources = add_images(writer, coded)
    if kind == "own source":
        return add_overlay(writer, (100, 80), [(0, 0)], [len(writer.items) + 1])
    if kind == "many layers":
        return add_overlay(writer, (100, 80), [(0, 0)] * 5000, sources[:1] * 5000)
    if kind == "no size":
        return add_overlay(writer, (0, 0), [], [])
    if kind == "large together":
        return add_overlay(writer, (900, 80), [(0, 0)] * 5, [add_overlay(writer, (900, 80), [], [])] * 5)
    number = sources[0]
    for _ in range(5):  # 20^5 images
        number = add_overlay(writer, (100, 80), [(0, 0)] * 20, [number] * 20)
    return number


@pytest.mark.parametrize("kind", ["own source", "many layers", "no size", "large together", "nested"])
def test_hostile_overlays_are_refused_at_once(tmp_path, coded, monkeypatch, kind):
    monkeypatch.setattr(heif_picture, "MAX_STREAMS", 3)
    monkeypatch.setattr(heif_picture, "MAX_DECODED_PX", 100_000)
    writer = HeifWriter()
    number = hostile(kind, writer, coded)
    with pytest.raises(MediaError, match="damaged or incomplete"):
        read(tmp_path, writer.write(number))


def test_too_short_descriptions_of_overlays_are_refused(tmp_path, coded):
    writer = HeifWriter()
    number = add_overlay(writer, (100, 80), [(0, 0)], add_images(writer, coded))  # places for one of two images
    with pytest.raises(MediaError, match="shorter than its content"):
        read(tmp_path, writer.write(number))
