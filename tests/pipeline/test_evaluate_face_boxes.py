"""Face boxes of S3FD equal those of SyncNet's pipeline with seeded weights, and one face is followed."""

import sys
from pathlib import Path

import numpy as np
import torch

from sadtalker_ext.models.s3fd import S3FD
from sadtalker_ext.pipeline.evaluate_face_boxes import detect_faces, follow_boxes, overlaps, suppress
from sadtalker_ext.weights.measure_files import LSE_FACES
from sadtalker_ext.weights.measure_networks import load_s3fd

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
import seeded_networks as seeded


def test_boxes_and_scores_equal_the_public_code(tmp_path):
    path = tmp_path / LSE_FACES.name
    torch.save(seeded.s3fd_state(S3FD()), path)
    found = detect_faces(seeded.scenery(), load_s3fd(path), scale=1.0)
    assert len(found) == len(seeded.PUBLIC["faces"]) > 20
    np.testing.assert_allclose(found, seeded.PUBLIC["faces"], rtol=1e-4, atol=1e-3)


class Painted(torch.nn.Module):
    """Finds the white rectangles of a picture that has been made smaller; a wider one has a higher score."""

    def forward(self, picture):
        import cv2

        white = (picture[0].amin(0) > 200).numpy().astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(white)
        boxes = [[x, y, x + width, y + height] for x, y, width, height, _ in stats[1:count]]
        scores = [0.95 + width / 1e4 for _, _, width, _, _ in stats[1:count]]
        return torch.tensor(boxes).reshape(-1, 4).double(), torch.tensor(scores).double()


def picture(*rectangles):
    frame = np.zeros((240, 320, 3), np.uint8)
    for left, top, right, bottom in rectangles:
        frame[top:bottom, left:right] = 255
    return frame


def test_the_largest_face_of_the_first_frame_is_followed():
    small, large = (16, 40, 80, 120), (160, 40, 280, 160)
    moved, grown = (168, 44, 288, 164), (8, 32, 152, 176)
    frames = [picture(small, large), picture(grown, moved), picture(), picture(moved)]
    found = list(follow_boxes(frames, Painted()))
    assert found[2] is None
    for box, expected in zip((found[0], found[1], found[3]), (large, moved, moved), strict=True):
        np.testing.assert_allclose(box, expected, atol=4)
    frames = [picture(large), picture(small)]
    np.testing.assert_allclose(list(follow_boxes(frames, Painted()))[1], small, atol=4)


def test_overlapping_boxes_with_lower_scores_are_dropped():
    boxes = np.array([[0, 0, 10, 10, 0.5], [1, 0, 11, 10, 0.9], [20, 0, 30, 10, 0.7], [8, 0, 18, 10, 0.6]])
    assert suppress(boxes, 0.3)[:, 4].tolist() == [0.9, 0.7, 0.6]
    assert suppress(boxes, 0.1)[:, 4].tolist() == [0.9, 0.7]
    assert suppress(np.zeros((0, 5)), 0.1).shape == (0, 5)
    np.testing.assert_allclose(overlaps(boxes[0], boxes), [1, 90 / 110, 0, 20 / 180])
