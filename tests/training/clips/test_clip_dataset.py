"""Data sets of clips: round trip, random access, other tar readers, interrupted writers and damaged files."""

from __future__ import annotations

import multiprocessing
import os
import tarfile
import tracemalloc

import numpy as np
import pytest
from synthetic_clips import synthetic_clip, synthetic_info, write_data

from sadtalker_ext.errors import MediaError
from sadtalker_ext.training.clips.dataset import Clip, ClipInfo, ClipStore, ClipWriter, decode_image, encode_image
from sadtalker_ext.training.clips.shards import index_path, list_shards

ARRAYS = ("coefficients", "lip_expression", "lids", "landmarks", "mel", "sound")


def assert_same(first, second):
    assert (first.name, first.identity, first.source) == (second.name, second.identity, second.source)
    assert first.frames == second.frames
    for name in ARRAYS:
        assert getattr(first, name).dtype == getattr(second, name).dtype
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_clips_are_unchanged_in_any_order(tmp_path):
    clips = write_data(tmp_path)
    store = ClipStore(tmp_path)
    assert len(store) == 5
    for index in (3, 0, 4, 2, 1, 3):
        assert_same(store.read_clip(index), clips[index])
    for read, expected in zip(store, clips, strict=True):
        assert_same(read, expected)
    assert [store.identity(index) for index in range(5)] == [0, 1, 0, 1, 0]
    assert store.clips_of(1).tolist() == [1, 3]
    assert [store.frame_count(index) for index in range(5)] == [4, 5, 6, 7, 8]
    assert ClipStore(tmp_path, "test").read_clip(0).name == "held"


def test_single_images_and_tracks_equal_those_of_the_clip(tmp_path):
    clips = write_data(tmp_path)
    store = ClipStore(tmp_path)
    pictures = store.read_images(4, (7, 0, 3))
    for picture, frame in zip(pictures, (7, 0, 3), strict=True):
        np.testing.assert_array_equal(picture, clips[4].image(frame))
    tracks = store.read_tracks(2)
    assert tracks.frames == ()
    np.testing.assert_array_equal(tracks.mel, clips[2].mel)


def test_reading_a_pair_does_not_read_the_clip(tmp_path):
    clip = synthetic_clip("long", frames=40, size=96)
    with ClipWriter(tmp_path, "train", 0) as writer:
        writer.add(clip)
    synthetic_info(size_px=96).save(tmp_path)
    store = ClipStore(tmp_path)
    store.read_images(0, (0,))
    tracemalloc.start()
    store.read_images(0, (3, 39))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < sum(map(len, clip.frames)) / 4


def test_tarfile_reads_shards(tmp_path):
    clips = write_data(tmp_path)
    with tarfile.open(tmp_path / "train-000000.tar") as tar:
        members = tar.getnames()
        jpeg = tar.extractfile("clip1.0002.jpg").read()
    assert members[:4] == ["clip0.json", "clip0.npz", "clip0.0000.jpg", "clip0.0001.jpg"]
    assert len(members) == sum(2 + len(clip) for clip in clips)
    assert jpeg == clips[1].frames[2]


def test_webdataset_reads_shards(tmp_path):
    webdataset = pytest.importorskip("webdataset")
    clips = write_data(tmp_path, limit_bytes=30_000)
    shards = [str(path) for path in list_shards(tmp_path, "train")]
    assert len(shards) > 1
    samples = list(webdataset.WebDataset(shards, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == [clip.name for clip in clips]
    for sample, clip in zip(samples, clips, strict=True):
        assert sample["json"]["identity"] == clip.identity
        np.testing.assert_array_equal(sample["npz"]["coefficients"], clip.coefficients)
        assert sample["0003.jpg"] == clip.frames[3]


def test_many_small_shards_equal_one_shard(tmp_path):
    clips = write_data(tmp_path, limit_bytes=1)
    assert len(list_shards(tmp_path, "train")) == 5
    for read, expected in zip(ClipStore(tmp_path), clips, strict=True):
        assert_same(read, expected)


def test_equal_clips_give_equal_files(tmp_path):
    for name in ("a", "b"):
        write_data(tmp_path / name)
    one, other = ((tmp_path / name / "train-000000.tar").read_bytes() for name in ("a", "b"))
    assert one == other


def test_error_while_writing_leaves_no_file(tmp_path):
    def write():
        with ClipWriter(tmp_path, "train", 3) as writer:
            writer.add(synthetic_clip("one"))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write()
    assert list(tmp_path.iterdir()) == []


def _write_and_exit(folder):
    with ClipWriter(folder, "train", 0, 40_000) as writer:
        for number in range(6):
            writer.add(synthetic_clip(f"clip{number}", seed=number))
        os._exit(9)


def test_killed_writer_leaves_only_complete_shards(tmp_path):
    process = multiprocessing.get_context("fork").Process(target=_write_and_exit, args=(tmp_path,))
    process.start()
    process.join()
    assert process.exitcode == 9
    for shard in list_shards(tmp_path, "train"):
        with tarfile.open(shard) as tar:
            assert len(tar.getnames()) % 8 == 0
    with pytest.raises(MediaError, match="not a finished data set"):
        ClipStore(tmp_path)
    clips = write_data(tmp_path)
    assert [clip.name for clip in ClipStore(tmp_path)] == [clip.name for clip in clips]
    assert list_shards(tmp_path, "train") == [tmp_path / "train-000000.tar"]


def test_png_frames_are_stored_unchanged(tmp_path):
    cv2 = pytest.importorskip("cv2")
    base = synthetic_clip("exact", frames=2)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3)).astype(np.uint8)
    frames = tuple(cv2.imencode(".png", picture[..., ::-1])[1].tobytes() for picture in pixels)
    arrays = {name: getattr(base, name) for name in ARRAYS}
    with ClipWriter(tmp_path, "train", 0) as writer:
        writer.add(Clip("exact", "ann", frames, **arrays))
    synthetic_info().save(tmp_path)
    np.testing.assert_array_equal(ClipStore(tmp_path).read_images(0, (0, 1)), pixels)


def test_jpeg_has_full_colour_resolution():
    columns = np.zeros((32, 32, 3), np.uint8)
    columns[:, ::2] = (220, 40, 40)
    columns[:, 1::2] = (40, 40, 220)
    read = decode_image(encode_image(columns)).astype(int)
    assert np.abs(read - columns).mean() < 6


def test_info_round_trip_and_refusals(tmp_path):
    with pytest.raises(MediaError, match="not a finished data set"):
        ClipInfo.load(tmp_path)
    synthetic_info().save(tmp_path)
    assert ClipInfo.load(tmp_path) == synthetic_info()
    assert "| hours | 0.010 |" in (tmp_path / "card.md").read_text()
    with pytest.raises(MediaError, match="no shards train-"):
        ClipStore(tmp_path)
    synthetic_info(version=0).save(tmp_path)
    with pytest.raises(MediaError, match="has version 0"):
        ClipInfo.load(tmp_path)


def test_damaged_files_are_named(tmp_path):
    write_data(tmp_path)
    shard = tmp_path / "train-000000.tar"
    data = bytearray(shard.read_bytes())
    data[0:512] = bytes(512)
    shard.write_bytes(bytes(data))
    with pytest.raises(MediaError, match="damaged at byte 0"):
        ClipStore(tmp_path).read_clip(0)
    index_path(shard).write_text("{")
    with pytest.raises(MediaError, match="no readable index"):
        ClipStore(tmp_path)


def test_inconsistent_parts_and_invalid_names_are_refused(tmp_path):
    clip = synthetic_clip("good")
    with pytest.raises(ValueError, match="different lengths"):
        Clip("bad", "ann", clip.frames[:2], **{name: getattr(clip, name) for name in ARRAYS})
    with pytest.raises(ValueError, match="cannot be named"), ClipWriter(tmp_path, "train", 0) as writer:
        writer.add(synthetic_clip("a.b"))
