"""Picture files that ask for much time or memory are refused at once, in one sentence."""

import io
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from documents import READING, error_of
from PIL import Image

import sadtalker_ext
from sadtalker_ext.video import image_limits
from sadtalker_ext.video.picture import read_picture

ROOT = Path(sadtalker_ext.__file__).parents[1]
LIMIT_PX = 2048
QUICK_S = 5.0


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(side_px, *before, rows=None):
    header = struct.pack(">IIBBBBB", side_px, side_px, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes((side_px + 1) * (side_px if rows is None else rows)))
    parts = [chunk(b"IHDR", header), *before, chunk(b"IDAT", data), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def tiff(*tags, then=0, tail=b""):
    entries = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<IH", 8, len(tags)) + entries + struct.pack("<I", then) + tail


def plain_tiff(places=100, width=100):
    place = 8 + 2 + 8 * 12 + 4
    tags = [(256, 4, 1, width), (257, 4, 1, 100), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    return tiff(*tags, (273, 4, places, place), (278, 3, 1, 1), (279, 4, places, place))


BOMB = zlib.compress(bytes(100_000_000), 9)


def hostile(kind):
    saved = io.BytesIO()
    small = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80), np.uint8))
    if kind == "huge.gif":
        small.save(saved, "GIF")
        return saved.getvalue()[:6] + b"\xff" * 4 + saved.getvalue()[10:]
    if kind in ("huge.webp", "larger.webp"):
        small.convert("RGB").save(saved, "WEBP", save_all=True, append_images=[Image.new("RGB", (80, 80))])
        content, side = bytearray(saved.getvalue()), b"\xfe\x3f\0" if kind == "huge.webp" else b"\xff\xff\xff"
        at = content.index(b"VP8X") + 12
        content[at : at + 6] = side * 2
        return content
    if kind == "scans.jpg":
        Image.new("L", (2000, 2000)).save(saved, "JPEG", progressive=True)
        content = saved.getvalue()
        last = content.rindex(b"\xff\xc4", 0, content.rindex(b"\xff\xda"))
        return content[:-2] + content[last:-2] * 5000 + b"\xff\xd9"
    return {
        "huge.tif": plain_tiff(width=2**31),
        "places.tif": plain_tiff(places=2**28) + bytes(20_000_000),
        "tags.tif": tiff(*[(256, 4, 1, 100)] * 60_000),
        "huge.ppm": b"P6 2000000000 2000000000 255\n" + bytes(1000),
        "comment.ppm": b"P6 " + b"#" * 30_000_000,
        "huge.tga": bytes([0, 0, 2]) + bytes(9) + b"\xff" * 4 + bytes([24, 0]) + bytes(1000),
        "text.png": png(100, chunk(b"zTXt", b"a\0\0" + BOMB)),
        "profile.png": png(100, chunk(b"iCCP", b"a\0\0" + BOMB)),
        "parts.png": png(100, chunk(b"tEXt", b"a\0b") * 200_000),
        "large.png": png(12_000, rows=2),
    }[kind]


@pytest.mark.parametrize(
    "kind",
    ["huge.gif", "huge.webp", "larger.webp", "scans.jpg", "huge.tif", "places.tif", "tags.tif", "huge.ppm",
     "comment.ppm", "huge.tga", "text.png", "profile.png", "parts.png", "large.png"],
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_expensive_files_are_rejected_at_once(tmp_path, kind):
    (tmp_path / kind).write_bytes(hostile(kind))
    assert "8192 px" in (sentence := error_of(tmp_path / kind)) or "damaged" in sentence


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "a.jpg"])
def test_files_of_gigabytes_are_rejected_without_reading(tmp_path, name):
    Image.new("RGB", (100, 100)).save(tmp_path / name)
    with (tmp_path / name).open("r+b") as file:
        file.truncate((1 << 30) + 1)
    assert "1,074 MB, more than" in error_of(tmp_path / name)


@pytest.mark.parametrize("head", [b"P6 100 100 254\n", b"P3 100 100 255\n"])
def test_formats_that_pillow_decodes_in_python_have_a_lower_limit(tmp_path, monkeypatch, head):
    content = b"255 " * 30_000 if head.startswith(b"P3") else bytes(30_000)
    (tmp_path / "a.ppm").write_bytes(head + content)
    assert read_picture(tmp_path / "a.ppm", LIMIT_PX).original_size_px == (100, 100)
    monkeypatch.setattr(image_limits, "MAX_SLOW_BYTES", 10_000)
    assert "in its format" in error_of(tmp_path / "a.ppm")


def test_further_frames_and_pages_are_not_decoded(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80), np.uint8))
    page, pages = picture.tobytes(), bytearray(b"II*\0" + struct.pack("<I", 8 + 6400))
    pages += page
    for number in range(100_000):
        tags = [(256, 3, 1, 80), (257, 3, 1, 80), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
        then = 0 if number == 99_999 else len(pages) + 2 + 8 * 12 + 4
        pages += struct.pack("<H", 8)
        pages += b"".join(struct.pack("<HHII", *tag) for tag in [*tags, (278, 3, 1, 80), (279, 4, 1, 6400)])
        pages += struct.pack("<I", then)
    (tmp_path / "pages.tif").write_bytes(pages)
    saved = io.BytesIO()
    picture.save(saved, "GIF")
    content = saved.getvalue()
    frame = content.index(b",", 13 + 768 if len(content) > 13 + 768 + 6000 else 13)
    (tmp_path / "frames.gif").write_bytes(content[:-1] + content[frame:-1] * 3000 + b";")
    saved = io.BytesIO()
    picture.convert("RGB").save(saved, "WEBP", save_all=True, append_images=[Image.new("RGB", (80, 80))], lossless=True)
    content = saved.getvalue()
    first = content.index(b"ANMF", content.index(b"ANMF") + 4)
    body = content[8:] + content[first:] * 50_000
    (tmp_path / "frames.webp").write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    for name in ("pages.tif", "frames.gif", "frames.webp"):
        begun_s = time.monotonic()
        read = read_picture(tmp_path / name, LIMIT_PX)
        assert time.monotonic() - begun_s < QUICK_S
        assert read.notes == ("The picture contains several images; the first is used.",)


def test_tiff_directory_that_refers_to_itself(tmp_path):
    tags = [(256, 4, 1, 100), (257, 4, 1, 100), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 110)]
    content = tiff(*tags, (278, 4, 1, 100), (279, 4, 1, 10_000), then=8, tail=bytes(10_000))
    (tmp_path / "loop.tif").write_bytes(content)
    begun_s = time.monotonic()
    assert read_picture(tmp_path / "loop.tif", LIMIT_PX).original_size_px == (100, 100)
    assert time.monotonic() - begun_s < QUICK_S


@pytest.mark.parametrize("kind", ["large.png", "cut.tif", "places.tif"])
def test_pillow_prints_no_warnings(tmp_path, kind):
    if kind == "cut.tif":
        Image.new("RGB", (100, 100)).save(tmp_path / kind, exif=Image.Exif())
        whole = (tmp_path / kind).read_bytes()
        (tmp_path / kind).write_bytes(whole[:40])
    else:
        (tmp_path / kind).write_bytes(hostile(kind))
    command = [sys.executable, "-c", READING, str(tmp_path / kind)]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT)
    assert (run.stdout, run.stderr) == ("refused\n", "")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.gif", "a.bmp", "a.ppm", "a.tga", "a.jp2"])
def test_truncated_files_are_read_or_rejected_in_one_sentence(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for part in (1, 2, 4, 8, 12, 16, 20, 24, 40, 100, 300, len(whole) // 2, len(whole) - 40):
        (tmp_path / name).write_bytes(whole[:part])
        error_of(tmp_path / name)
