"""HEIC and AVIF: all tiles, orientation, colour, transparency and damaged files."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from heif_files import FULL_RANGE, TILE, HeifWriter, av1_tiles, box, full_box, grid_file, hevc_tiles, nclx, split
from PIL import Image
from test_picture import swapped_profile

from sadtalker_ext.errors import MediaError
from sadtalker_ext.video import image_formats
from sadtalker_ext.video.heif_boxes import HeifError, read_structure
from sadtalker_ext.video.picture import read_picture

LIMIT_PX = 2048
LOSS = 3
"""Mean difference of coded pictures; a tile that is missing or elsewhere gives more than 20."""
FULL_601 = nclx(1, 13, 6, full=True)


@pytest.fixture(scope="module")
def scene():
    """A smooth picture (100, 150, 3), in no part like in another, in 2 rows of 3 tiles."""
    rows, columns = np.mgrid[0:100, 0:150]
    return np.stack([30 + rows * 2, 20 + columns * 1.5, 230 - rows - columns * 0.8], axis=2).astype(np.uint8)


@pytest.fixture(scope="module")
def coded(scene):
    """The tiles of the scene in HEVC, for several tests."""
    return hevc_tiles(split(scene)[2], filters=FULL_RANGE)


def read(tmp_path, content, name="a.heic"):
    (tmp_path / name).write_bytes(content)
    return read_picture(tmp_path / name, LIMIT_PX, "portrait")


def error_of(tmp_path, content):
    with pytest.raises(MediaError) as caught:
        read(tmp_path, content)
    message = str(caught.value)
    assert "\n" not in message
    return message


def difference(pixels, expected):
    assert pixels.shape == expected.shape
    return np.abs(pixels.astype(int) - expected).mean()


@pytest.mark.parametrize("name", ["a.heic", "photo.HEIF", "a.jpg", "without_extension"])
def test_all_tiles_of_a_phone_picture_are_read(tmp_path, scene, coded, name):
    content = grid_file(scene, FULL_601, code=lambda _: coded)
    picture = read(tmp_path, content, name)
    assert picture.original_size_px == (150, 100)
    assert difference(picture.pixels, scene) < LOSS
    assert picture.notes == ()


def test_tiles_in_av1(tmp_path, scene):
    picture = read(tmp_path, grid_file(scene, code=av1_tiles, brand=b"avif"), "a.avif")
    assert difference(picture.pixels, scene) < LOSS


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("mirror", [None, 0, 1])
def test_orientation_is_applied_in_the_order_of_the_properties(tmp_path, scene, coded, turns, mirror):
    """irot: counterclockwise quarter turns; imir: 0 exchanges top and bottom, 1 left and right (23008-12:2022)."""
    properties = [box("irot", bytes([turns])), *([] if mirror is None else [box("imir", bytes([mirror]))])]
    expected = np.rot90(scene, turns)
    if mirror is not None:
        expected = np.flip(expected, mirror)
    picture = read(tmp_path, grid_file(scene, FULL_601, *properties, code=lambda _: coded))
    assert difference(picture.pixels, expected) < LOSS
    assert picture.original_size_px == (expected.shape[1], expected.shape[0])
    other = read(tmp_path, grid_file(scene, FULL_601, *properties[::-1], code=lambda _: coded))
    expected = np.rot90(scene if mirror is None else np.flip(scene, mirror), turns)
    assert difference(other.pixels, expected) < LOSS


@pytest.mark.parametrize("on_tiles", [False, True])
def test_colour_profile_is_applied(tmp_path, scene, coded, on_tiles):
    """The oracle is a PNG file with the same profile."""
    Image.fromarray(scene).save(tmp_path / "a.png", icc_profile=swapped_profile())
    expected = read_picture(tmp_path / "a.png", LIMIT_PX).pixels
    profile = (FULL_601, box("colr", b"prof", swapped_profile()))
    where = {"tile_properties": profile} if on_tiles else {}
    content = grid_file(scene, *(() if on_tiles else profile), code=lambda _: coded, **where)
    assert difference(read(tmp_path, content).pixels, expected) < LOSS
    assert difference(expected, scene) > 10


@pytest.mark.parametrize(
    ("filters", "stated"),
    [("scale=out_color_matrix=bt709:out_range=tv", nclx(1, 13, 1, full=False)),
     ("scale=out_color_matrix=bt709:out_range=pc", nclx(1, 13, 1, full=True)),
     ("scale=out_color_matrix=bt601:out_range=tv", nclx(1, 13, 6, full=False))],
)  # fmt: skip
@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv420p", "yuv444p10le"])
def test_matrix_range_and_depth_are_those_of_the_file(tmp_path, scene, filters, stated, pixel_format):
    content = grid_file(scene, stated, code=lambda tiles: hevc_tiles(tiles, pixel_format, filters))
    assert difference(read(tmp_path, content).pixels, scene) < LOSS


def test_transparent_parts_become_white(tmp_path, scene, coded):
    writer = HeifWriter()
    hidden = np.zeros(scene.shape, np.uint8)
    hidden[:, 70:] = 255
    size = (scene.shape[1], scene.shape[0])
    picture = writer.add_grid(coded, size, (2, 3), FULL_601)
    plane = hevc_tiles(split(hidden)[2], "gray", "format=gray")
    kind = full_box("auxC", 0, 0, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0")
    alpha = writer.add_grid(plane, size, (2, 3), kind)
    writer.refer("auxl", alpha, [picture])
    found = read(tmp_path, writer.write(picture))
    assert found.pixels[:, :60].min() >= 250
    assert difference(found.pixels[:, 75:], scene[:, 75:]) < LOSS
    assert "white" in found.notes[0]


def test_crop_and_identity(tmp_path, scene, coded):
    writer = HeifWriter()
    crop = box("clap", struct.pack(">IIIIiIiI", 100, 1, 80, 1, -5, 1, 4, 1))
    grid = writer.add_grid(coded, (150, 100), (2, 3), FULL_601, crop)
    same = writer.add("iden", b"", box("irot", b"\1"))
    writer.refer("dimg", same, [grid])
    picture = read(tmp_path, writer.write(same))
    assert difference(picture.pixels, np.rot90(scene[14:94, 20:120])) < LOSS


def damaged(kind, scene, coded):
    content = grid_file(scene, FULL_601, code=lambda _: coded)
    writer = HeifWriter()
    if kind == "end missing":
        return content[:-200]
    if kind == "other number of tiles":
        return writer.write(writer.add_grid((*coded[:2], coded[2][:5]), (150, 100), (2, 3)))
    if kind == "tiles too small":
        return writer.write(writer.add_grid(coded, (900, 100), (2, 3)))
    if kind == "tile without picture":
        return writer.write(writer.add_grid((*coded[:2], [*coded[2][:5], b"\0\0\0\5\x26\1abc"]), (150, 100), (2, 3)))
    if kind == "primary missing":
        return content.replace(b"pitm\0\0\0\0\0\7", b"pitm\0\0\0\0\0\x63")
    return content.replace(b"ipco", b"ipc\0").replace(b"hvcC", b"none")


@pytest.mark.parametrize(
    "kind",
    ["end missing", "other number of tiles", "tiles too small", "tile without picture", "primary missing",
     "no configuration"],
)  # fmt: skip
def test_damaged_files_are_refused(tmp_path, scene, coded, kind):
    message = error_of(tmp_path, damaged(kind, scene, coded))
    assert "damaged or incomplete" in message
    assert message.endswith("export or download it again")


def test_changed_bytes_give_a_structure_or_an_error_at_once(tmp_path, scene, coded):
    content, random = grid_file(scene, FULL_601, code=lambda _: coded), np.random.default_rng(0)
    end = content.index(b"mdat")
    read = 0
    for _ in range(300):
        changed = bytearray(content)
        for at in random.integers(0, end, random.integers(1, 4)):
            changed[at] = random.integers(0, 256)
        (tmp_path / "a.heic").write_bytes(changed[: random.integers(20, len(changed))])
        with suppress(HeifError):  # any other exception fails the test
            read += read_structure(tmp_path / "a.heic") is not None
    assert read > 0


def test_large_pictures_are_refused_before_decoding(tmp_path, coded):
    writer = HeifWriter()
    assert "has 12000 x 9000 px" in error_of(tmp_path, writer.write(writer.add_grid(coded, (12000, 9000), (2, 3))))


@pytest.mark.parametrize("kind", ["j2k1", "lhv1", "elsewhere"])
def test_unsupported_items_are_named_with_a_remedy(tmp_path, monkeypatch, coded, kind):
    monkeypatch.setattr(image_formats, "OPENED", ("PNG",))  # no plugin of Pillow
    writer = HeifWriter()
    number = writer.add("hvc1" if kind == "elsewhere" else kind, bytes(50))
    content = writer.write(number)
    if kind == "elsewhere":  # data reference 1: in another file
        content = content.replace(struct.pack(">HHH", number, 0, 1), struct.pack(">HHH", number, 1, 1))
    message = error_of(tmp_path, content)
    assert repr(kind) in message
    assert "save it as PNG or JPEG" in message


@pytest.mark.skipif(".avif" not in Image.registered_extensions(), reason="this Pillow has no AVIF")
@pytest.mark.parametrize("properties", [(), (box("irot", b"\3"),), (box("imir", b"\0"),), (box("imir", b"\1"),)])
def test_pillow_agrees_about_avif(tmp_path, scene, properties):
    from PIL import ImageOps

    path = tmp_path / "a.avif"
    tile = np.ascontiguousarray(scene[:TILE, :TILE])
    kind, configuration, parts = av1_tiles([tile])
    extent = full_box("ispe", 0, 0, struct.pack(">II", TILE, TILE))
    depth = full_box("pixi", 0, 0, b"\3\10\10\10")
    writer = HeifWriter()
    path.write_bytes(writer.write(writer.add(kind, parts[0], configuration, extent, depth, *properties), b"avif"))
    with Image.open(path) as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    assert difference(read_picture(path, LIMIT_PX).pixels, expected) < 2
