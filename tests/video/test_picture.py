import io
import subprocess
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms

from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.video.picture import read_picture

LIMIT_PX = 2048


@pytest.fixture
def scene():
    """A smooth colour picture (90, 120, 3), different in every corner."""
    rows, columns = np.mgrid[0:90, 0:120]
    return np.stack([rows * 2, columns * 2, 255 - rows - columns], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [("a.png", 0), ("a.PNG", 0), ("a.Jpg", 12), ("a.jpeg", 12), ("a.webp", 12), ("a.WEBP", 12), ("a.bmp", 0),
     ("a.tif", 0), ("a.TIFF", 0), ("a.gif", 40), ("a.ppm", 0), ("a.tga", 0), ("no_extension", 0)],
)  # fmt: skip
def test_formats_and_cases(tmp_path, scene, name, tolerance):
    kind = {"no_extension": "PNG", "a.tga": "TGA"}.get(name)
    Image.fromarray(scene).save(tmp_path / name, kind)
    picture = read_picture(tmp_path / name, LIMIT_PX)
    assert picture.pixels.shape == (90, 120, 3)
    assert picture.pixels.dtype == np.uint8
    assert picture.pixels.flags.c_contiguous
    assert picture.original_size_px == (120, 90)
    assert picture.notes == ()
    assert np.abs(picture.pixels.astype(int) - scene).max() <= tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path, scene, orientation):
    stored = {
        1: scene, 2: scene[:, ::-1], 3: scene[::-1, ::-1], 4: scene[::-1], 5: scene.transpose(1, 0, 2),
        6: np.rot90(scene), 7: scene[::-1, ::-1].transpose(1, 0, 2), 8: np.rot90(scene, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    picture = read_picture(tmp_path / "a.png", LIMIT_PX)
    assert np.array_equal(picture.pixels, scene)
    assert picture.original_size_px == (120, 90)


def test_broken_exif_is_ignored(tmp_path, scene):
    Image.fromarray(scene).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff\x01\x12")
    assert read_picture(tmp_path / "a.jpg", LIMIT_PX).pixels.shape == (90, 120, 3)


def test_transparent_parts_become_white_with_a_note(tmp_path, scene):
    alpha = np.full((90, 120, 1), 255, np.uint8)
    alpha[:45], alpha[45:50] = 0, 128
    Image.fromarray(np.concatenate([scene, alpha], axis=2)).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", LIMIT_PX)
    assert np.all(picture.pixels[:45] == 255)
    assert np.abs(picture.pixels[45:50].astype(float) - (scene[45:50] + 255.0) / 2).max() <= 2
    assert np.array_equal(picture.pixels[50:], scene[50:])
    assert ["white" in note for note in picture.notes] == [True]


@pytest.mark.parametrize("lowest", [255, 254])
def test_opaque_alpha_channel_adds_no_note(tmp_path, scene, lowest):
    alpha = np.full((90, 120, 1), 255, np.uint8)
    alpha[::7, ::5] = lowest
    Image.fromarray(np.concatenate([scene, alpha], axis=2)).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", LIMIT_PX)
    assert np.array_equal(picture.pixels, scene)
    assert picture.notes == ()


def test_resized_cut_out_has_no_dark_fringe(tmp_path):
    pixels = np.zeros((400, 400, 4), np.uint8)
    pixels[100:300, 100:300] = (250, 250, 250, 255)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", 130).pixels.min() >= 245


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_all_modes_give_the_same_grey(tmp_path, mode):
    grey = np.repeat(np.linspace(0, 255, 128).round().astype(np.uint8)[None], 80, axis=0)
    image = Image.fromarray(grey)
    name, tolerance = "a.tif", 3
    if mode in ("I;16", "I"):
        image = Image.fromarray(grey.astype(np.uint16 if mode == "I;16" else np.int32) * 257)
    elif mode == "F":
        image = Image.fromarray((grey / 255).astype(np.float32))
    elif mode == "1":
        image, grey = image.convert("1", dither=Image.Dither.NONE), np.where(grey > 127, 255, 0)
    elif mode == "YCbCr":
        image, name = image.convert("RGB"), "a.jpg"
    elif mode == "CMYK":
        image = image.convert("RGB").convert("CMYK")
    else:
        image = image.convert(mode)
    image.save(tmp_path / name)
    picture = read_picture(tmp_path / name, LIMIT_PX)
    assert np.abs(picture.pixels.astype(int) - grey[..., None]).max() <= tolerance


def test_sixteen_bit_png_keeps_its_range(tmp_path):
    grey = np.repeat(np.linspace(0, 65535, 128).astype(np.uint16)[None], 80, axis=0)
    Image.fromarray(grey).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", LIMIT_PX)
    assert np.abs(picture.pixels - np.rint(grey / 257)[..., None]).max() <= 1


def test_palette_with_a_transparent_colour(tmp_path, scene):
    image = Image.fromarray(scene).quantize(16)
    hidden = np.asarray(image) == 3
    image.save(tmp_path / "a.png", transparency=3)
    assert np.all(read_picture(tmp_path / "a.png", LIMIT_PX).pixels[hidden] == 255)


@pytest.mark.parametrize("name", ["a.gif", "a.webp", "a.png"])
def test_animations_give_their_first_frame_with_a_note(tmp_path, name):
    frames = [Image.new("RGB", (80, 70), colour) for colour in ("red", "lime", "blue")]
    frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], duration=100, lossless=True)
    picture = read_picture(tmp_path / name, LIMIT_PX)
    assert np.abs(picture.pixels.astype(int) - (255, 0, 0)).max() <= 2
    assert "first" in picture.notes[0]


def test_colour_profile_is_applied(tmp_path, scene):
    """Swapped primaries: a profile whose red is green must swap them on the screen."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(swapped_profile()))
    expected = ImageCms.profileToProfile(Image.fromarray(scene), source, ImageCms.createProfile("sRGB"))
    Image.fromarray(scene).save(tmp_path / "a.png", icc_profile=swapped_profile())
    picture = read_picture(tmp_path / "a.png", LIMIT_PX)
    assert np.abs(picture.pixels.astype(int) - np.asarray(expected)).max() <= 1
    assert np.abs(picture.pixels.astype(int) - scene[..., [1, 0, 2]]).mean() < 4


def swapped_profile():
    """sRGB with the columns of red and green exchanged, and without its name."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(data[at : at + 4]): at for at in range(132, 132 + 12 * int.from_bytes(data[128:132], "big"), 12)}
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    data[red : red + 4], data[green : green + 4] = data[green : green + 4], data[red : red + 4]
    described = int.from_bytes(data[tags[b"desc"] + 4 : tags[b"desc"] + 8], "big")
    length = int.from_bytes(data[tags[b"desc"] + 8 : tags[b"desc"] + 12], "big")
    data[described : described + length] = data[described : described + length].replace(b"\0R\0G\0B", b"\0X\0Y\0Z")
    return bytes(data)


@pytest.mark.parametrize("mode", ["RGB", "L", "RGBA", "CMYK"])
def test_broken_or_unsuitable_profile_is_ignored(tmp_path, mode):
    Image.new(mode, (80, 80)).save(tmp_path / "a.tif", icc_profile=b"no profile at all")
    assert read_picture(tmp_path / "a.tif", LIMIT_PX).pixels.shape == (80, 80, 3)


def test_large_pictures_are_resized_with_a_note(tmp_path):
    fine = np.zeros((600, 1000, 3), np.uint8)
    fine[::2] = 200
    Image.fromarray(fine).save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", 250)
    assert picture.pixels.shape == (150, 250, 3)
    assert picture.original_size_px == (1000, 600)
    assert np.abs(picture.pixels[5:-5].astype(int) - 100).max() <= 3  # averaged, not skipped
    assert ["1000 x 600" in note and "250 x 150" in note for note in picture.notes] == [True]


@pytest.mark.parametrize("shown", [(120, 90), (90, 120)])
def test_video_gives_its_first_frame_with_a_note(tmp_path, shown):
    path = tmp_path / "clip.mp4"
    source = f"color=red:s={shown[0]}x{shown[1]}:d=0.2:r=10,format=rgb24[a];color=blue:s={shown[0]}x{shown[1]}:d=1:r=10"
    graph = f"{source}[b];[a][b]concat"
    subprocess.run([ffmpeg_program(), "-v", "error", "-f", "lavfi", "-i", graph, "-crf", "1", path], check=True)
    picture = read_picture(path, LIMIT_PX)
    assert picture.pixels.shape == (shown[1], shown[0], 3)
    assert np.abs(picture.pixels.astype(int) - (255, 0, 0)).max() < 8
    assert picture.notes == ("The picture is a video; its first frame is used.",)


def error_of(path):
    with pytest.raises(MediaError) as caught:
        read_picture(path, LIMIT_PX)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    return message


def test_files_that_are_not_pictures_are_rejected(tmp_path):
    assert "does not exist" in error_of(tmp_path / "none.png")
    assert "is a folder" in error_of(tmp_path)
    (tmp_path / "empty.png").touch()
    assert "is empty" in error_of(tmp_path / "empty.png")
    (tmp_path / "text.png").write_text("this is a text\n")
    assert "not a picture or video" in error_of(tmp_path / "text.png")
    (tmp_path / "text.txt").write_text("this is a text\n" * 100)
    assert "not a picture or video" in error_of(tmp_path / "text.txt")
    subprocess.run([ffmpeg_program(), "-v", "error", "-f", "lavfi", "-i", "sine=d=1", tmp_path / "a.mp3"], check=True)
    assert "not a picture or video" in error_of(tmp_path / "a.mp3")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tif", "a.gif"])
def test_truncated_files_are_rejected(tmp_path, name):
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: len(whole) // 2])
    assert "damaged" in error_of(tmp_path / name) or "no picture" in error_of(tmp_path / name)


@pytest.mark.parametrize("size", [(63, 100), (100, 63), (8193, 64), (64, 8193)])
def test_sizes_outside_the_range_are_rejected(tmp_path, size):
    Image.new("L", size).save(tmp_path / "a.png")
    assert f"{size[0]} x {size[1]} px" in error_of(tmp_path / "a.png")


def test_sizes_at_the_limits_are_accepted(tmp_path):
    Image.new("L", (64, 64)).save(tmp_path / "small.png")
    Image.new("L", (8192, 64)).save(tmp_path / "long.png")
    assert read_picture(tmp_path / "small.png", LIMIT_PX).pixels.shape == (64, 64, 3)
    assert read_picture(tmp_path / "long.png", LIMIT_PX).pixels.shape == (16, 2048, 3)


def test_decompression_bombs_are_rejected_without_decoding(tmp_path):
    Image.new("1", (64, 64)).save(tmp_path / "bomb.png")
    data = bytearray((tmp_path / "bomb.png").read_bytes())
    data[16:24] = (100000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(data[12:29]).to_bytes(4, "big")
    (tmp_path / "bomb.png").write_bytes(data)
    assert "8192 px" in error_of(tmp_path / "bomb.png")


@pytest.mark.parametrize("content", [b"", b"%PDF-1.7\n", b"plain text", b"\x89PNG\r\n\x1a\n broken"])
def test_errors_show_the_display_name_instead_of_the_path(tmp_path, content):
    path = tmp_path / "3f.png"
    path.write_bytes(content)
    with pytest.raises(MediaError) as caught:
        read_picture(path, 512, "portrait")
    message = caught.value.describe({path: "me.png"})
    assert message.startswith("The portrait me.png ")
    assert str(tmp_path) not in message
