"""Picture formats: only photographs are opened, documents are rejected before any decoder starts."""

import ast
import io
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from documents import DOCUMENTS, EPS, READING, SVG, error_of
from PIL import Image, features

import sadtalker_ext
from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.pipeline.batch import PICTURES
from sadtalker_ext.video.image_formats import OPENED, describe_document, open_image, reject_documents
from sadtalker_ext.video.picture import read_picture

PACKAGE = Path(sadtalker_ext.__file__).parent
LIMIT_PX = 2048


def never(*_, **__):
    pytest.fail("a program was started")


@pytest.mark.parametrize("ending", ["own", "png", "jpg", "mp4", "gif", ""])
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_documents_are_rejected_under_any_name(tmp_path, monkeypatch, kind, ending):
    content, words = DOCUMENTS[kind]
    path = tmp_path / ("file" if not ending else f"file.{kind if ending == 'own' else ending}")
    path.write_bytes(content)
    monkeypatch.setattr(subprocess, "Popen", never)
    monkeypatch.setattr(subprocess, "run", never)
    sentence = error_of(path)
    assert words in sentence
    assert "save it as PNG or JPEG" in sentence


@pytest.mark.skipif(sys.platform == "win32", reason="puts a shell script in Ghostscript's place")
@pytest.mark.parametrize("kind", ["eps", "eps_dos", "eps_late", "ps", "ai"])
def test_ghostscript_is_never_started(tmp_path, kind):
    """Open a document in a new process where ``gs`` is a script that writes a file; Pillow alone would run it."""
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
        assert trace.exists()  # Pillow alone runs the script


def test_only_listed_formats_are_opened(tmp_path):
    """Try every format that Pillow can write in this installation and that is not in the list."""
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


def test_narrower_list_of_formats_is_respected(tmp_path):
    Image.new("RGB", (100, 100)).save(tmp_path / "a.gif")
    with pytest.raises(Image.UnidentifiedImageError):
        open_image(tmp_path / "a.gif", ("JPEG", "PNG"))
    assert open_image(tmp_path / "a.gif").format == "GIF"


WAYS = {"open", "Parser", "imread", "imdecode", "decode_image", "read_image", "mimread", "get_reader"}
READERS = {"Image", "ImageFile", "PIL", "cv2", "imageio", "iio", "io", "torchvision", "skimage", "matplotlib", "plt"}


def imported_readers(tree):
    """Return the names under which a file imports picture libraries or parts of them."""
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
    """Yield the numbers of the lines that open a picture without open_image, for any form of import."""
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
def test_rule_detects_other_readers(source):
    assert len(list(picture_readers(source))) == 1


def test_rule_accepts_harmless_code():
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
"""Formats that neither Pillow nor ffmpeg can write."""


def test_every_extension_is_covered():
    assert {f".{ending}" for ending in {*SAVED, *ENCODED, *UNMADE}} == PICTURES


@pytest.mark.parametrize("ending", SAVED)
def test_every_picture_extension_is_read(tmp_path, ending):
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
def test_videos_are_not_documents(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    size = "176x144" if ending == "3gp" else "96x80"
    source = ["-f", "lavfi", "-i", f"testsrc=s={size}:d=0.4:r=25"]
    subprocess.run([ffmpeg_program(), "-v", "error", *source, path], check=True)
    assert read_picture(path, LIMIT_PX).notes == ("The picture is a video; its first frame is used.",)


def test_photographs_with_documents_in_their_comments_are_pictures(tmp_path):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (80, 80, 3), np.uint8))
    picture.save(tmp_path / "a.jpg", comment=b"%!PS-Adobe-3.0 EPSF %PDF-1.4 " + SVG)
    picture.save(tmp_path / "a.gif", comment=b"%PDF-1.4 " + SVG)
    for name in ("a.jpg", "a.gif"):
        assert read_picture(tmp_path / name, LIMIT_PX).pixels.shape == (80, 80, 3)


def test_random_file_heads_raise_no_errors():
    random = np.random.default_rng(7)
    starts = [content[:40] for content, _ in DOCUMENTS.values()]
    for number in range(500):
        start = starts[number % len(starts)][: int(random.integers(0, 40))]
        assert isinstance(describe_document(start + random.bytes(int(random.integers(0, 300)))), str)


def test_empty_or_missing_file_is_not_a_document(tmp_path):
    (tmp_path / "empty").touch()
    reject_documents(tmp_path / "empty")
    with pytest.raises(MediaError, match="missing cannot be opened"):
        reject_documents(tmp_path / "missing")


@pytest.mark.parametrize("tags", [{254: 1}, {50706: b"\1\4\0\0"}, {254: 0, 50706: b"\1\4\0\0"}])
def test_previews_in_raw_files_of_cameras_are_not_taken_for_the_picture(tmp_path, tags):
    """DNG, NEF and ARW files are TIFF files whose first picture is a small preview."""
    Image.new("RGB", (160, 120)).save(tmp_path / "a.dng", "TIFF", tiffinfo=tags)
    with pytest.raises(MediaError, match=r"a\.dng is a raw file of a camera.*export the picture as JPEG or PNG"):
        read_picture(tmp_path / "a.dng", 512)
    Image.new("RGB", (160, 120)).save(tmp_path / "a.tif", tiffinfo={254: 0})
    assert read_picture(tmp_path / "a.tif", 512).original_size_px == (160, 120)


def test_only_readers_of_allowed_formats_are_loaded():
    """All of them, compared with those that Pillow finds when it loads every reader it has."""
    code = (
        "from PIL import Image; from sadtalker_ext.video import image_formats as f;"
        "f._prepare_pillow(); mine = set(Image.OPEN); Image.init(); every = set(Image.OPEN);"
        "print(sorted(set(f.OPENED) & every - mine), sorted(mine - set(f.OPENED)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["[]", "[]"]
