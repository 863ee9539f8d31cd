"""Videos that state extreme sizes, pixel shapes and times, and damaged pictures."""

import struct
import subprocess
from contextlib import closing
from fractions import Fraction
from itertools import islice

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.errors import MediaError
from sadtalker_ext.ffmpeg import ffmpeg_program
from sadtalker_ext.video import read
from sadtalker_ext.video.picture import read_picture
from sadtalker_ext.video.read import MAX_COPIES, MAX_SIDE_PX, probe, read_frames


@pytest.mark.parametrize("turn", [0, 90])
@pytest.mark.parametrize("sar", ["2/1", "1/2", "16/15"])
def test_the_stated_size_is_that_of_the_frames(make_media, tmp_path, sar, turn):
    flat = make_media("flat.mp4", "testsrc=s=96x64:d=0.2", arguments=("-vf", f"setsar={sar}"))
    assert probe(flat).width_px == round(96 * Fraction(sar))
    turned = tmp_path / "turned.mp4"
    rotate = [ffmpeg_program(), "-v", "error", "-display_rotation", str(turn), "-i", flat, "-c", "copy", turned]
    subprocess.run(rotate, check=True)
    info = probe(turned)
    with closing(read_frames(turned)) as frames:
        assert next(frames).shape == (info.height_px, info.width_px, 3)


def test_frames_that_become_too_wide_are_refused(make_media):
    path = make_media("wide.mp4", "testsrc=s=256x64:d=0.1", arguments=("-vf", "setsar=33/1"))
    with pytest.raises(MediaError, match=f"has 8448 x 64 px, more than {MAX_SIDE_PX} px on a side"):
        read_frames(path)


def with_gap(path, tmp_path, delta):
    """Return the video with another duration of each frame (ISO/IEC 14496-12, 8.6.1.2: time to sample)."""
    content = bytearray(path.read_bytes())
    struct.pack_into(">I", content, content.index(b"stts") + 16, delta)
    changed = tmp_path / "gap.mp4"
    changed.write_bytes(content)
    return changed


@pytest.mark.parametrize("dropping", [0.0, 1e9], ids=["copies first", "copies last"])
def test_a_gap_of_days_is_shortened(make_media, tmp_path, monkeypatch, dropping):
    """The file of 2 kB would take 100,000,000 copies of a frame, which ffmpeg makes at once."""
    monkeypatch.setattr(read, "DROPPING", dropping)
    monkeypatch.setattr(read, "MAX_COPIES", 40)
    even = make_media("a.mp4", "testsrc=s=64x64:r=1:d=3", arguments=("-bf", "0", "-use_editlist", "0"))
    path = with_gap(even, tmp_path, 0x7FFFFFFF)
    with closing(read_frames(path, 25.0)) as frames:
        shown = list(islice(frames, 200))
    changes = [number for number in range(1, len(shown)) if (shown[number] != shown[number - 1]).any()]
    assert changes == [40, 80]


def test_usual_pauses_are_kept():
    assert MAX_COPIES / 25 == 600


@pytest.mark.parametrize("rate_hz", [5.0, 12.5, 25.0, 60.0])
def test_both_orders_give_the_same_frames(make_media, monkeypatch, rate_hz):
    """Frames at uneven times, dropped or copied before or after the conversion."""
    path = make_media("a.mkv", "testsrc=s=64x64:r=25:d=1,setpts='N*N/(300*TB)'", arguments=("-fps_mode", "vfr"))
    both = []
    for dropping in (0.0, 1e9):
        monkeypatch.setattr(read, "DROPPING", dropping)
        with closing(read_frames(path, rate_hz)) as frames:
            both.append(np.stack(list(frames)))
    np.testing.assert_array_equal(*both)


def test_an_error_of_pillow_that_is_a_number_becomes_words(tmp_path):
    path = tmp_path / "a.tif"
    Image.effect_noise((96, 96), 80).save(path, compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    content[200:3000] = b"\xff" * 2800
    path.write_bytes(content)
    with pytest.raises(MediaError) as caught:
        read_picture(path, 256)
    assert "(its data cannot be decoded)" in str(caught.value)
