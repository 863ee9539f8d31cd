"""Colour spaces of videos: HDR and wide gamut become sRGB; matrix, range and depth are those of the file."""

import subprocess
from contextlib import closing

import numpy as np
import pytest

from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.video.colour_tags import ColourTags, parse_tags
from sadtalker_ext.video.picture import read_picture
from sadtalker_ext.video.read import probe, read_frames
from sadtalker_ext.video.tone_mapping import convert_to_srgb

PQ, HLG = ColourTags("bt2020", "smpte2084"), ColourTags("bt2020", "arib-std-b67")
BARS = ("0x6E4632", "0x8C5A46", "0x3C5A78", "0x505050", "0x286428", "0x141414")
"""Colours of less than half of white, which tone mapping does not compress; among them skin."""


def grey_of(signal, tags):
    """The sRGB level of a grey HDR value from 0 to 1."""
    frame = np.full((1, 1, 3), round(signal * 65535), np.uint16)
    red, green, blue = convert_to_srgb(frame, tags)[0, 0]
    assert red == green == blue
    return int(red)


@pytest.mark.parametrize(
    ("nits", "pq", "hlg"), [(0, 0.0, 0.0), (26, 0.38, 0.38), (203, 0.58, 0.75), (1000, 0.7518, 1.0)]
)
def test_pq_and_hlg_agree_at_the_levels_of_bt2408(nits, pq, hlg):
    """ITU-R BT.2408, table 1: 18 % grey and diffuse white in both systems; the curve of BT.2390 is applied to both."""
    assert abs(grey_of(pq, PQ) - grey_of(hlg, HLG)) <= 2
    assert grey_of(pq, PQ) == pytest.approx({0: 0, 26: 101, 203: 229, 1000: 255}[nits], abs=1)


@pytest.mark.parametrize("tags", [PQ, HLG])
def test_brightness_rises_without_steps(tags):
    levels = np.array([grey_of(signal, tags) for signal in np.linspace(0, 1, 1200)])
    assert np.all(np.diff(levels) >= 0)
    assert np.diff(levels).max() <= 2
    assert levels[-1] == 255


def test_grey_of_wide_gamut_is_unchanged():
    ramp = np.repeat(np.arange(256, dtype=np.uint16)[None, :, None] * 257, 3, axis=2)
    for primaries in ("bt2020", "smpte431", "smpte432"):
        assert np.array_equal(convert_to_srgb(ramp, ColourTags(primaries, "bt709"))[0, :, 0], np.arange(256))


def test_display_p3_red_is_the_colour_of_css():
    """CSS Color 4: color(display-p3 0.784 0.392 0.392) is rgb(214, 94, 97)."""
    frame = np.array([[[200, 100, 100]]], np.uint16) * 257
    assert np.abs(convert_to_srgb(frame, ColourTags("smpte432"))[0, 0].astype(int) - (214, 94, 97)).max() <= 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [("yuv420p10le(tv, bt2020nc/bt2020/arib-std-b67, progressive), 1x1", ("bt2020", "arib-std-b67")),
     ("yuv420p(pc, smpte170m/smpte432/bt709), 1x1", ("smpte432", "bt709")), ("yuv420p(tv, bt709), 1x1", ("bt709",) * 2),
     ("rgb24(pc, gbr/bt709/iec61966-2-1), 1x1", ("bt709", "iec61966-2-1")), ("yuv420p, 1x1", ("", "")),
     ("yuv420p(progressive), 1x1", ("", "")), ("yuv420p(tv, unknown/bt2020/unknown)", ("bt2020", "unknown"))],
)  # fmt: skip
def test_tags_in_descriptions_of_ffmpeg(text, expected):
    tags = parse_tags(text)
    assert (tags.primaries, tags.transfer) == expected


def filters():
    done = subprocess.run([ffmpeg_program(), "-hide_banner", "-filters"], capture_output=True, text=True, check=True)
    return done.stdout


def hdr_video(path, transfer):
    """Six colour bars in BT.2020 with 10 bits, from light that zimg computes: white of the source is 203 cd/m2."""
    inputs = [word for bar in BARS for word in ("-f", "lavfi", "-i", f"color={bar}:s=96x96:r=5:d=0.6")]
    light = "zscale=tin=iec61966-2-1:pin=bt709:min=gbr:rin=full:t=linear:p=bt709:m=gbr:npl=203,format=gbrpf32le"
    out = f"zscale=tin=linear:pin=bt709:min=gbr:rin=full:t={transfer}:p=bt2020:m=bt2020nc:r=tv:npl=203"
    graph = f"hstack=inputs={len(BARS)},format=gbrp,{light},{out},format=yuv444p10le"
    tags = f"colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    coding = ["-c:v", "libx265", "-x265-params", f"log-level=none:crf=2:{tags}"]
    command = [ffmpeg_program(), "-v", "error", "-y", *inputs, "-filter_complex", graph, *coding, path]
    subprocess.run(command, check=True)
    return path


def hlg_signal(srgb):
    """The HLG values of an sRGB colour whose white is 203 cd/m2: inverse OOTF and OETF of BT.2100, table 5."""
    signal = np.array(srgb) / 255
    light = np.where(signal <= 0.04045, signal / 12.92, ((signal + 0.055) / 1.055) ** 2.4) * 203 / 1000
    to_bt2020 = [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]  # BT.2087
    display = np.array(to_bt2020) @ light
    scene = display * (display @ (0.2627, 0.6780, 0.0593)) ** (1 / 1.2 - 1)
    upper = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 1e-9)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), upper)


@pytest.mark.parametrize("bar", BARS)
def test_hlg_is_the_inverse_of_bt2100(bar):
    colour = tuple(bytes.fromhex(bar[2:]))
    frame = np.rint(hlg_signal(colour) * 65535).astype(np.uint16)[None, None]
    assert np.abs(convert_to_srgb(frame, HLG)[0, 0].astype(int) - colour).max() <= 1


@pytest.mark.parametrize(("transfer", "tolerance"), [("smpte2084", 3), ("arib-std-b67", 10)])
def test_hdr_video_has_the_colours_of_its_source(tmp_path, transfer, tolerance):
    """The source is sRGB, converted to HDR by zimg, which applies the gamma of HLG to each channel separately."""
    if " zscale " not in filters():
        pytest.skip("this ffmpeg has no zscale")
    path = hdr_video(tmp_path / "a.mp4", transfer)
    assert probe(path).colour.transfer == transfer
    picture = read_picture(path, 2048)
    assert "video" in picture.notes[0]
    found = [
        picture.pixels[40:56, 96 * number + 40 : 96 * number + 56].mean(axis=(0, 1)) for number in range(len(BARS))
    ]
    expected = [tuple(bytes.fromhex(bar[2:])) for bar in BARS]
    assert np.abs(np.array(found) - expected).max() <= tolerance
    with closing(read_frames(path)) as frames:
        assert next(frames).dtype == np.uint8


@pytest.mark.parametrize("matrix", ["bt709", "smpte170m", "bt2020nc"])
@pytest.mark.parametrize("full", ["tv", "pc"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p10le", "yuv444p"])
def test_matrix_and_range_are_those_of_the_file(make_media, matrix, full, pixel_format):
    name = {"smpte170m": "bt601", "bt2020nc": "bt2020"}.get(matrix, matrix)
    convert = f"scale=out_color_matrix={name}:out_range={full},format={pixel_format}"
    path = make_media(
        "a.mkv", f"color=0xC86432:s=128x96:r=5:d=0.4,format=gbrp,{convert}",
        arguments=("-c:v", "ffv1", "-colorspace", matrix, "-color_range", full),
    )  # fmt: skip
    with closing(read_frames(path)) as frames:
        assert np.abs(next(frames).astype(int) - (200, 100, 50)).max() <= 3
