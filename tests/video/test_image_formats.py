"""Pillow opens photographs only, and documents are refused by their content before any decoder starts."""

import ast
import io
import stat
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from documents import DOCUMENTS, EPS, SVG
from PIL import Image, features

import sadtalker_ext
from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.pipeline.batch import PICTURES
from sadtalker_ext.video import image_limits
from sadtalker_ext.video.image_formats import OPENED, format_in_words, open_image, refuse_documents
from sadtalker_ext.video.picture import read_picture

PACKAGE = Path(sadtalker_ext.__file__).parent
LIMIT_PX = 2048
QUICK_S = 5.0
"""Far more than a refusal takes, far less than decoding these files would."""


def refusal(path):
    begun_s = time.monotonic()
    with pytest.raises(MediaError) as caught:
        read_picture(path, LIMIT_PX)
    assert time.monotonic() - begun_s < QUICK_S
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def never(*_, **__):
    pytest.fail("a program was started")


@pytest.mark.parametrize("ending", ["own", "png", "jpg", "mp4", "gif", ""])
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_documents_are_refused_whatever_they_are_called(tmp_path, monkeypatch, kind, ending):
    content, words = DOCUMENTS[kind]
    path = tmp_path / ("file" if not ending else f"file.{kind if ending == 'own' else ending}")
    path.write_bytes(content)
    monkeypatch.setattr(subprocess, "Popen", never)
    monkeypatch.setattr(subprocess, "run", never)
    sentence = refusal(path)
    assert words in sentence
    assert "save it as PNG or JPEG" in sentence


READING = """
import sys
from sadtalker_ext.errors import MediaError
from sadtalker_ext.video.picture import read_picture
try:
    read_picture(sys.argv[1], 2048)
except MediaError:
    print("refused")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="puts a shell script in Ghostscript's place")
@pytest.mark.parametrize("kind", ["eps", "eps_dos", "eps_late", "ps", "ai"])
def test_ghostscript_is_never_started(tmp_path, kind):
    """In a process of its own, with a Ghostscript that leaves a trace; Pillow alone would start it."""
    program, trace, path = tmp_path / "gs", tmp_path / "trace", tmp_path / "file.png"
    program.write_text(f"#!/bin/sh\ntouch '{trace}'\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    path.write_bytes(DOCUMENTS[kind][0])
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": str(PACKAGE.parent)}
    command = [sys.executable, "-c", READING, str(path)]
    assert subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout == "refused\n"
    assert not trace.exists()
    if kind == "eps":
        plain = "import sys; from PIL import Image; Image.open(sys.argv[1]).load()"
        subprocess.run([sys.executable, "-c", plain, str(path)], env=environment, capture_output=True, check=False)
        assert trace.exists()  # this test can fail


def test_only_listed_formats_are_opened(tmp_path):
    """Every format that Pillow can write here and that is not listed is unknown to our function."""
    Image.init()
    picture, tried = Image.new("RGB", (100, 100)), []
    for name in sorted(set(Image.SAVE) & set(Image.OPEN) - set(OPENED)):
        content = io.BytesIO()
        for mode in ("RGB", "L", "1"):
            try:
                picture.convert(mode).save(content, name)
                break
            except (OSError, ValueError, KeyError, TypeError):
                content = io.BytesIO()
        if content.getvalue():
            content.seek(0)
            tried.append(name)
            with pytest.raises(Image.UnidentifiedImageError):
                open_image(content)
    assert len(tried) >= 5
    with pytest.raises(Image.UnidentifiedImageError):
        open_image(io.BytesIO(EPS))


def test_a_narrower_list_is_kept(tmp_path):
    Image.new("RGB", (100, 100)).save(tmp_path / "a.gif")
    with pytest.raises(Image.UnidentifiedImageError):
        open_image(tmp_path / "a.gif", ("JPEG", "PNG"))
    assert open_image(tmp_path / "a.gif").format == "GIF"


WAYS = {"open", "Parser", "imread", "imdecode", "decode_image", "read_image", "mimread", "get_reader"}
READERS = {"Image", "ImageFile", "PIL", "cv2", "imageio", "iio", "io", "torchvision", "skimage", "matplotlib", "plt"}


def imported_readers(tree):
    """Names in a file that stand for a library of pictures or a part of it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in READERS - {"io"}:
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in READERS - {"io"}:
                    names.add(alias.asname or alias.name.split(".")[0])
    return names


def picture_readers(source):
    """Lines that open a picture by another way than ours, in any spelling of the imports."""
    tree = ast.parse(source)
    names = imported_readers(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in WAYS:
            root = node.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in names:
                yield node.lineno
        elif isinstance(node, ast.Name) and node.id in names & WAYS:
            yield node.lineno


def test_no_other_code_opens_pictures():
    found = []
    scripts = [*PACKAGE.parent.glob("scripts/*.py"), *PACKAGE.parent.glob("*.py")]
    for path in [*PACKAGE.rglob("*.py"), *scripts]:
        found += [path.relative_to(PACKAGE.parent).as_posix() for _ in picture_readers(path.read_text("utf-8"))]
    assert found == ["sadtalker_ext/video/image_formats.py"]


@pytest.mark.parametrize(
    "source",
    [
        "from PIL import Image\nImage.open(p)", "from PIL import Image as Pictures\nPictures.open(p)",
        "import PIL.Image\nPIL.Image.open(p)", "from PIL.Image import open\nopen(p)",
        "def f():\n    from PIL import Image\n    return map(Image.open, p)", "import cv2\ncv2.imread(p)",
        "from PIL import ImageFile\nImageFile.Parser()", "import imageio.v3 as iio\niio.imread(p)",
    ],
)  # fmt: skip
def test_the_rule_sees_what_it_should(source):
    assert len(list(picture_readers(source))) == 1


def test_the_rule_lets_pass_what_it_should():
    harmless = "from PIL import Image\nimport io\nImage.new('L', (1, 1)).save(p)\np.open()\nopen(p)\nio.open(p)"
    assert list(picture_readers(harmless)) == []


SAVED = {
    "apng": "PNG", "bmp": "BMP", "dib": "DIB", "gif": "GIF", "j2k": "JPEG2000", "jfif": "JPEG", "jp2": "JPEG2000",
    "jpe": "JPEG", "jpeg": "JPEG", "jpg": "JPEG", "pbm": "PPM", "pgm": "PPM", "png": "PNG", "pnm": "PPM", "ppm": "PPM",
    "tga": "TGA", "tif": "TIFF", "tiff": "TIFF", "webp": "WEBP",
}  # fmt: skip
ENCODED = {
    "avif": ("-c:v", "libaom-av1", "-still-picture", "1", "-f", "avif"),
    "jxl": ("-c:v", "libjxl", "-f", "image2"),
}
UNMADE = {"heic", "heif"}
"""No encoder at hand writes these."""


def test_every_ending_is_tried():
    assert {f".{ending}" for ending in {*SAVED, *ENCODED, *UNMADE}} == PICTURES


@pytest.mark.parametrize("ending", SAVED)
def test_every_ending_of_pictures_is_read(tmp_path, ending):
    if SAVED[ending] == "JPEG2000" and not features.check("jpg_2000"):
        pytest.skip("this Pillow has no JPEG 2000")
    picture = Image.new("1" if ending == "pbm" else "L" if ending == "pgm" else "RGB", (90, 70), "white")
    picture.save(tmp_path / f"a.{ending}", SAVED[ending])
    (tmp_path / "renamed.dat").write_bytes((tmp_path / f"a.{ending}").read_bytes())
    for name in (f"a.{ending}", "renamed.dat"):
        read = read_picture(tmp_path / name, LIMIT_PX)
        assert (read.original_size_px, read.pixels.min()) == ((90, 70), 255)


@pytest.mark.parametrize("ending", ENCODED)
def test_formats_that_ffmpeg_reads(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    source = ["-f", "lavfi", "-i", "color=white:s=96x80:d=1", "-frames:v", "1"]
    done = subprocess.run([ffmpeg_program(), "-v", "error", *source, *ENCODED[ending], path], check=False)
    if done.returncode != 0:
        pytest.skip("this ffmpeg has no encoder for it")
    read = read_picture(path, LIMIT_PX)
    assert (read.original_size_px, read.notes) == ((96, 80), ())
    assert read.pixels.min() > 245


VIDEOS = ("mp4", "mkv", "webm", "avi", "mov", "flv", "ts", "m2ts", "mpg", "ogv", "wmv", "3gp")


@pytest.mark.parametrize("ending", VIDEOS)
def test_videos_are_no_documents(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    size = "176x144" if ending == "3gp" else "96x80"
    source = ["-f", "lavfi", "-i", f"testsrc=s={size}:d=0.4:r=25"]
    subprocess.run([ffmpeg_program(), "-v", "error", *source, path], check=True)
    assert read_picture(path, LIMIT_PX).notes == (f"a.{ending} is a video: its first frame is the portrait.",)


def test_photographs_with_documents_in_their_words_are_pictures(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8))
    picture.save(tmp_path / "a.jpg", comment=b"%!PS-Adobe-3.0 EPSF %PDF-1.4 " + SVG)
    picture.save(tmp_path / "a.gif", comment=b"%PDF-1.4 " + SVG)
    for name in ("a.jpg", "a.gif"):
        assert read_picture(tmp_path / name, LIMIT_PX).pixels.shape == (80, 80, 3)


def test_random_beginnings_of_files_are_judged_without_errors():
    random = np.random.default_rng(7)
    starts = [content[:40] for content, _ in DOCUMENTS.values()]
    for number in range(500):
        start = starts[number % len(starts)][: int(random.integers(0, 40))]
        assert isinstance(format_in_words(start + random.bytes(int(random.integers(0, 300)))), str)


def test_an_empty_or_missing_file_is_no_document(tmp_path):
    (tmp_path / "empty").touch()
    refuse_documents(tmp_path / "empty")
    with pytest.raises(MediaError, match="missing cannot be opened"):
        refuse_documents(tmp_path / "missing")


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
def test_files_that_would_take_too_much_are_refused_at_once(tmp_path, kind):
    (tmp_path / kind).write_bytes(hostile(kind))
    assert "8192 px" in (sentence := refusal(tmp_path / kind)) or "damaged" in sentence


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif", "a.jpg"])
def test_files_of_gigabytes_are_refused_unread(tmp_path, name):
    Image.new("RGB", (100, 100)).save(tmp_path / name)
    with (tmp_path / name).open("r+b") as file:
        file.truncate((1 << 30) + 1)
    assert "1,074 MB, more than" in refusal(tmp_path / name)


@pytest.mark.parametrize("head", [b"P6 100 100 254\n", b"P3 100 100 255\n"])
def test_formats_that_pillow_decodes_in_python_have_a_lower_limit(tmp_path, monkeypatch, head):
    content = b"255 " * 30_000 if head.startswith(b"P3") else bytes(30_000)
    (tmp_path / "a.ppm").write_bytes(head + content)
    assert read_picture(tmp_path / "a.ppm", LIMIT_PX).original_size_px == (100, 100)
    monkeypatch.setattr(image_limits, "LARGEST_SLOW_BYTES", 10_000)
    assert "in its format" in refusal(tmp_path / "a.ppm")


def test_many_frames_and_pages_cost_nothing(tmp_path):
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
        assert read.notes == (f"{name} holds several pictures: the first is the portrait.",)


def test_a_directory_that_leads_to_itself(tmp_path):
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
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=PACKAGE.parent)
    assert (run.stdout, run.stderr) == ("refused\n", "")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.gif", "a.bmp", "a.ppm", "a.tga", "a.jp2"])
def test_files_cut_off_anywhere_are_read_or_refused_in_one_sentence(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 255, (80, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for part in (1, 2, 4, 8, 12, 16, 20, 24, 40, 100, 300, len(whole) // 2, len(whole) - 40):
        (tmp_path / name).write_bytes(whole[:part])
        refusal(tmp_path / name)
