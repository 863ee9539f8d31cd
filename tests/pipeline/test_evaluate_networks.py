"""Measures of public networks: alignment of faces, folders of videos, pooled FID, videos that cannot be measured."""

import argparse
import json

import numpy as np
import pytest
import torch
from skimage import data
from skimage.transform import SimilarityTransform

from sadtalker_ext.cli import evaluate
from sadtalker_ext.errors import SadTalkerError
from sadtalker_ext.faces.find import find_faces
from sadtalker_ext.geometry.arcface_alignment import TEMPLATE_PX, align_identity, identity_transform
from sadtalker_ext.geometry.five_point_alignment import five_points
from sadtalker_ext.geometry.landmarks import subset_68
from sadtalker_ext.metrics.image import frechet_distance
from sadtalker_ext.pipeline import evaluate_networks
from sadtalker_ext.pipeline.evaluate_networks import network_features, read_every
from sadtalker_ext.video.write import VideoSpec, write_video


class Colours(torch.nn.Module):
    """Mean and spread of each colour: six features."""

    def forward(self, pictures):
        return torch.cat([pictures.mean((2, 3)), pictures.std((2, 3))], 1)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folder with results and originals of two short clips; the third result shows no face."""
    folder = tmp_path_factory.mktemp("videos")
    picture = data.astronaut()[:256, 96:352]
    for name, kind in (("results", 0.8), ("originals", 1.0)):
        (folder / name).mkdir()
        for clip, light in (("anna", 1.0), ("bert", 0.6)):
            frames = [(picture * (kind * light * (1 - 0.03 * step))).astype(np.uint8) for step in range(4)]
            write_video(frames, folder / name / f"{clip}.mp4", VideoSpec())
        empty = [np.full((256, 256, 3), 90, np.uint8)] * 4
        write_video(empty, folder / name / "carl.mp4", VideoSpec())
    return folder


def evaluate_command(*arguments):
    parser = argparse.ArgumentParser()
    evaluate.add_command(parser.add_subparsers())
    options = parser.parse_args(["evaluate", *map(str, arguments)])
    return options.run(options)


def test_faces_are_aligned_as_by_insightface():
    picture = data.astronaut()
    mesh = find_faces(picture)[0].mesh
    points = five_points(subset_68(mesh)) - 0.5
    expected = SimilarityTransform()
    expected.estimate(points, TEMPLATE_PX)
    np.testing.assert_allclose(identity_transform(mesh), expected.params[:2], atol=1e-4)
    face = find_faces(np.kron(align_identity(picture, mesh), np.ones((3, 3, 1), np.uint8)))[0]
    found = five_points(subset_68(face.mesh)) / 3 - 0.5
    assert np.abs(found[:2] - TEMPLATE_PX[:2]).max() < 4
    assert np.abs(found - TEMPLATE_PX).max() < 8


def test_a_folder_is_measured_with_pooled_fid(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evaluate_networks, "LOADERS", {"fid": lambda path: Colours(), "csim": lambda path: Colours()})
    files = {name: tmp_path / name for name in ("fid", "csim")}
    for path in files.values():
        path.write_bytes(b"x")
    networks = ("--fid-network", files["fid"], "--csim-network", files["csim"], "--every", 1)
    code = evaluate_command(folders / "results", "--reference", folders / "originals", *networks, "--json")
    captured = capsys.readouterr()
    content = json.loads(captured.out)
    assert code == 2
    assert "carl.mp4 was left out: A face was found in only 0 of 4 frames" in captured.err
    assert set(content["failed"]) == {"carl.mp4"}
    assert set(content["clips"]) == {"anna.mp4", "bert.mp4", "all frames"}
    assert 0.7 < content["clips"]["anna.mp4"]["csim"] < 0.95, "darker than the original"
    pools = []
    for name in ("results", "originals"):
        videos = [folders / name / f"{clip}.mp4" for clip in ("anna", "bert")]
        pictures = [frame.astype(np.float32) / 255 for video in videos for frame in read_every(video, 1)]
        pools.append(network_features(Colours(), pictures))
    assert content["overall"]["fid"] == pytest.approx(frechet_distance(*pools), rel=1e-6)
    assert content["overall"]["fid"] > 0
    assert content["overall"]["fid_frames"] == 8


def test_folders_without_videos_or_originals_are_refused(folders, tmp_path):
    with pytest.raises(SadTalkerError, match="has no videos"):
        evaluate_command(tmp_path)
    with pytest.raises(SadTalkerError, match="is one video, but RESULT is a folder"):
        evaluate_command(folders / "results", "--reference", folders / "originals" / "anna.mp4")
    with pytest.raises(SadTalkerError, match=r"has no original for anna\.mp4; put a video named anna there"):
        evaluate_command(folders / "results", "--reference", tmp_path)
