"""The recipe of MouthCoverNet: what it draws covers the lips or leaves them free, and it learns from a folder."""

import json

import cv2
import numpy as np
import pytest
import torch

from sadtalker_ext.cli.main import main
from sadtalker_ext.errors import SettingsError
from sadtalker_ext.faces.find import find_faces
from sadtalker_ext.models.mouth_cover import MouthCoverConfig
from sadtalker_ext.training.starter import mouth_cover
from sadtalker_ext.training.starter.cover_examples import (
    MIN_COVERED,
    change_picture,
    cover_mouth,
    disguise,
    object_beside_mouth,
)
from sadtalker_ext.training.starter.cover_shapes import DRAWERS
from sadtalker_ext.training.starter.covered_face import CoveredFace, lip_outline
from sadtalker_ext.training.starter.mouth_cover import Examples, MouthCoverPlan, fit, picture_files, train_mouth_cover
from sadtalker_ext.weights.mouth_cover import load_mouth_cover


@pytest.fixture(scope="module")
def face(astronaut_face):
    return CoveredFace.measure(*astronaut_face)


@pytest.fixture(scope="module")
def astronaut_face():
    from importlib.resources import files

    data = np.frombuffer((files("sadtalker_ext.assets") / "astronaut.png").read_bytes(), np.uint8)
    picture = cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)[:260, 100:360]
    picture = cv2.resize(picture, (160, 160), interpolation=cv2.INTER_AREA)
    (found,) = find_faces(picture)
    return picture, found.mesh


def changed(face, example):
    """Return where the picture differs by more than a shadow, and where the lips are."""
    difference = np.abs(example.picture.astype(int) - face.picture).max(axis=-1)
    return difference, face.fill(face.points(lip_outline())) > 0.5


def test_covers_hide_lips_and_objects_beside_them_do_not(face):
    random, kinds = np.random.default_rng(0), set()
    for _ in range(12):
        covered, beside = cover_mouth(face, random), object_beside_mouth(face, random)
        _difference, lips = changed(face, covered)
        assert covered.covered >= MIN_COVERED
        assert covered.cover[lips].mean() == pytest.approx(covered.covered, abs=0.15)
        if beside is not None:
            assert beside.covered == 0.0
            assert beside.cover[lips].max() < 0.2
        kinds.add(covered.kind)
    assert len(kinds) >= 4
    assert kinds <= set(DRAWERS)


def test_cloth_hides_all_below_its_edge_and_single_fingers_are_frequent(face):
    random, shares = np.random.default_rng(3), []
    for _ in range(4):
        cover = DRAWERS["cloth"][1](face, random, np.array([0.0, 0.03]))
        below, above = (face.place(np.array([[0.0, depth]]))[0].astype(int) for depth in (0.06, -0.01))
        assert cover.share[below[1], below[0]] == 1.0
        assert cover.share[above[1], above[0]] == 0.0
    for _ in range(16):
        shares.append(DRAWERS["hand"][1](face, random, np.zeros(2)).share.sum())
    assert np.median(shares) < 0.6 * np.max(shares)


def test_disguises_leave_the_lips_where_they_are(face):
    random = np.random.default_rng(1)
    for _ in range(8):
        example = disguise(face, random)
        assert example.covered == 0.0
        edges = [
            cv2.Canny(cv2.GaussianBlur(picture, (0, 0), 1.0), 30, 60) for picture in (face.picture, example.picture)
        ]
        lips = cv2.dilate((face.fill(face.points(lip_outline())) > 0.5).astype(np.uint8), np.ones((3, 3))) > 0
        kept = cv2.dilate(edges[1], np.ones((3, 3)))[(edges[0] > 0) & lips] > 0
        assert kept.mean() > 0.5, example.kind
        assert change_picture(example.picture, random).shape == face.picture.shape


def test_a_cover_is_learned_where_the_features_show_it():
    random = torch.Generator().manual_seed(0)

    def examples(count):
        features = torch.randn(count, 512, 8, 8, generator=random).mul_(0.5)
        maps = torch.zeros(count, 2, 8, 8)
        maps[::2, :, 3:6, 3:6] = 1
        features[:, :200] += maps[:, :1]
        return Examples(5 * features + 3, maps, maps.amax((1, 2, 3)), ["-"] * count)

    network = fit(examples(96), MouthCoverPlan(epochs=24))
    test = examples(40)
    with torch.inference_mode():
        maps, logits = network(test.features)
    assert ((logits > 0) == (test.covered > 0)).float().mean() > 0.95
    assert maps[::2, 0, 3:6, 3:6].mean() > maps[1::2, 0].mean() + 1


def test_recipe_runs_from_a_folder_of_portraits(astronaut_face, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(mouth_cover, "MouthCoverPlan", lambda: MouthCoverPlan(rounds=1, covers=1, epochs=1))
    for number in range(5):
        moved = np.ascontiguousarray(astronaut_face[0][:, number:])
        cv2.imwrite(str(tmp_path / f"{number}.png"), moved[..., ::-1])
    assert main(["train", "mouth_cover", "--data", str(tmp_path), "--out", str(tmp_path / "run")]) == 0
    weights = json.loads(capsys.readouterr().out)["weights"]
    assert json.loads((tmp_path / "run" / "report.json").read_text("utf-8"))["portraits"] == 5
    assert load_mouth_cover(tmp_path / "run" / weights.rpartition("/")[2]).config == MouthCoverConfig()


def test_too_few_portraits_are_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((80, 80, 3), 128, np.uint8))
    with pytest.raises(SettingsError, match="There are 0 pictures with a face among 1; use 5 or more"):
        train_mouth_cover(picture_files([tmp_path]), tmp_path)
