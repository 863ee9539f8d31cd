"""JPEG XL: pixels, transparency, colour spaces and orientation."""

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.errors import MediaError
from sadtalker_ext.video.picture import read_picture

LIMIT_PX = 2048
SOURCE = "testsrc=s=160x120,gblur=2"


@pytest.fixture
def expected(make_media):
    """The picture that the files contain, (120, 160, 3)."""
    return np.asarray(Image.open(make_media("a.png", SOURCE, arguments=("-frames:v", "1"))).convert("RGB")).astype(int)


def make(make_media, *arguments, name="a.jxl"):
    return make_media(name, SOURCE, arguments=("-frames:v", "1", *arguments))


@pytest.mark.parametrize("name", ["a.jxl", "100% %03d.jxl", "a.png.JXL"])
def test_lossless_pixels(make_media, expected, name):
    picture = read_picture(make(make_media, "-distance", "0", name=name), LIMIT_PX)
    assert np.array_equal(picture.pixels, expected)
    assert picture.notes == ()


def test_transparent_parts_become_white(make_media, expected):
    alpha = "format=rgba,geq=r='r(X,Y)':g='g(X,Y)':b='b(X,Y)':a='if(lt(X,80),0,255)'"
    picture = read_picture(make(make_media, "-vf", alpha, "-distance", "0"), LIMIT_PX)
    assert np.all(picture.pixels[:, :80] == 255)
    assert np.abs(picture.pixels[:, 80:] - expected[:, 80:]).max() <= 1
    assert "white" in picture.notes[0]


def test_display_p3_is_converted(make_media):
    """Grey stays, and colours become stronger in sRGB: (200, 100, 100) in P3 is (214, 94, 97) (CSS Color 4)."""
    path = make_media(
        "a.jxl", "color=0xC86464:s=80x80,format=rgb48,setparams=color_primaries=smpte432:color_trc=iec61966-2-1",
        arguments=("-frames:v", "1", "-distance", "0"),
    )  # fmt: skip
    assert np.abs(read_picture(path, LIMIT_PX).pixels.astype(int) - (214, 94, 97)).max() <= 1


def stated_orientation(content, orientation):
    """Return a lossy codestream with another orientation (ISO/IEC 18181-1, annex D): its metadata are the defaults.

    The header of ffmpeg's file has a size of 9 bits (height / 8 and an aspect ratio), then two bits for defaults.
    """
    head = np.unpackbits(np.frombuffer(content[2:4], np.uint8), bitorder="little")
    assert content[:2] == b"\xff\x0a"
    assert (head[0], head[9], head[10]) == (1, 1, 1)
    code = orientation - 1
    stated = [0, 1, code & 1, code >> 1 & 1, code >> 2, 0, 0, 0]  # more than defaults; no preview, no animation
    rest = [0, 0, 0, 1, 0, 0, 1, 1, 1, 0, 0, 1]  # 8 bits, modular buffers, XYB, default colours, no extensions
    bits = np.array([*head[:9], *stated, *rest], np.uint8)
    return content[:2] + np.packbits(bits, bitorder="little").tobytes() + content[4:]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_applied_once(make_media, expected, orientation):
    path = make(make_media, "-distance", "1", "-vf", "format=rgb24")
    path.write_bytes(stated_orientation(path.read_bytes(), orientation))
    turned = {
        1: expected, 2: expected[:, ::-1], 3: expected[::-1, ::-1], 4: expected[::-1], 5: expected.transpose(1, 0, 2),
        6: np.rot90(expected, -1), 7: expected[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(expected),
    }[orientation]  # fmt: skip
    pixels = read_picture(path, LIMIT_PX).pixels
    assert pixels.shape == turned.shape
    assert np.abs(pixels - turned).mean() < 4


def test_damaged_files_are_refused(make_media):
    path = make(make_media)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(MediaError, match=r"a\.jxl .*(damaged|cannot be read)") as caught:
        read_picture(path, LIMIT_PX)
    assert "\n" not in str(caught.value)
