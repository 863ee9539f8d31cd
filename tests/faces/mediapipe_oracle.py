"""The models of MediaPipe 0.10.9 as an oracle for our networks, in a separate process.

``python tests/faces/mediapipe_oracle.py`` writes ``mediapipe_numbers.npz`` again where MediaPipe is installed
(``pip install mediapipe==0.10.9``, Python 3.9 to 3.12). With two arguments, it reads pictures from the first .npz file
and writes the answers to the second, see :func:`ask`. Exit code 3: MediaPipe's face models are not installed.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

NUMBERS = Path(__file__).with_name("mediapipe_numbers.npz")
NOT_INSTALLED = 3
TIMEOUT_S = 120
CROP_PX = 192
DETECTION_FLOORS = {"short": 0.5, "full": 0.6}
"""Smallest score of a detection in MediaPipe's graphs; version 0.10.9 does not apply the argument of FaceDetection."""
MESH_GRAPH = """
input_stream: "image"
input_stream: "roi"
output_stream: "landmarks"
node {
  calculator: "ConstantSidePacketCalculator"
  output_side_packet: "PACKET:with_attention"
  node_options: {
    [type.googleapis.com/mediapipe.ConstantSidePacketCalculatorOptions]: { packet { bool_value: true } }
  }
}
node {
  calculator: "FaceLandmarkCpu"
  input_stream: "IMAGE:image"
  input_stream: "ROI:roi"
  input_side_packet: "WITH_ATTENTION:with_attention"
  output_stream: "LANDMARKS:landmarks"
}
"""


def package_folder():
    """Return the folder of the installed package, None if it is missing or has no face models."""
    spec = importlib.util.find_spec("mediapipe")
    folders = [] if spec is None else [Path(folder) for folder in spec.submodule_search_locations or ()]
    return next((folder for folder in folders if (folder / "python/solutions/face_mesh.py").is_file()), None)


def ask(pictures, folder):
    """Return the answers of MediaPipe in a new process by name; None if it is not installed.

    pictures: arrays by name. The first word of a name is the operation: "mesh" (192, 192, 3) -> (479, 3), the mesh and
    a row with the presence; "short" or "full" (H, W, 3) -> detections (N, 17) by falling score, as
    FaceNetworks.detect; "mask" (H, W, 3) -> (H, W). folder: for temporary files.
    """
    np.savez(folder / "pictures.npz", **pictures)
    command = [sys.executable, __file__, str(folder / "pictures.npz"), str(folder / "answers.npz")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
    if done.returncode == NOT_INSTALLED:
        return None
    assert done.returncode == 0, done.stderr[-2000:]
    with np.load(folder / "answers.npz") as answers:
        return dict(answers)


class Models:
    """MediaPipe's graphs, which run one picture at a time."""

    def __init__(self):
        # Importing face_mesh registers message types; without them, graphs ignore some options silently.
        from mediapipe.python.solutions import face_detection, face_mesh, selfie_segmentation  # noqa: F401

        self.presence, self.graph = open_mesh_graph()
        self.detectors = {
            reach: face_detection.FaceDetection(floor, number)
            for number, (reach, floor) in enumerate(DETECTION_FLOORS.items())
        }
        self.segmenter = selfie_segmentation.SelfieSegmentation(0)

    def answer(self, operation, picture):
        if operation == "mesh":
            return self.mesh(picture)
        if operation == "mask":
            return self.segmenter.process(picture).segmentation_mask
        return self.detect(picture, operation)

    def mesh(self, crop):
        from mediapipe.framework.formats import rect_pb2

        whole = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1.0, height=1.0)
        result = self.graph.process({"image": crop, "roi": whole})
        points = [(point.x, point.y, point.z) for point in result.landmarks.landmark]
        presence = np.full((1, 3), getattr(result, self.presence))
        return np.vstack([np.asarray(points) * CROP_PX, presence]).astype(np.float32)

    def detect(self, picture, reach):
        found = self.detectors[reach].process(picture).detections or []
        rows = np.zeros((len(found), 17), np.float32)
        for row, detection in zip(rows, found, strict=True):
            location = detection.location_data
            box = location.relative_bounding_box
            row[:5] = detection.score[0], box.xmin, box.ymin, box.width, box.height
            row[5:] = [value for point in location.relative_keypoints for value in (point.x, point.y)]
        return rows[np.argsort(-rows[:, 0], kind="stable")]


def open_mesh_graph():
    """Return the name of the presence stream and the graph that measures a face that fills the picture.

    Presence is in log odds, without the sigmoid at the end of the graph.
    """
    from mediapipe.calculators.tensor.tensors_to_floats_calculator_pb2 import TensorsToFloatsCalculatorOptions
    from mediapipe.framework import calculator_pb2
    from mediapipe.python._framework_bindings import resource_util
    from mediapipe.python._framework_bindings.validated_graph_config import ValidatedGraphConfig
    from mediapipe.python.solution_base import SolutionBase

    resource_util.set_resource_dir(os.path.dirname(package_folder()))
    expanded = ValidatedGraphConfig()
    expanded.initialize(graph_config=MESH_GRAPH)
    graph = calculator_pb2.CalculatorGraphConfig()
    graph.ParseFromString(expanded.binary_config)
    node = next(node for node in graph.node if node.calculator == "TensorsToFloatsCalculator")
    node.options.Extensions[TensorsToFloatsCalculatorOptions.ext].activation = 0  # NONE
    presence = str(node.output_stream[0]).rsplit(":", 1)[-1]
    graph.output_stream.append(presence)
    threshold = "facelandmarkcpu__ThresholdingCalculator.threshold"
    return presence, SolutionBase(graph_config=graph, calculator_params={threshold: -1e9})


def answer_file(questions, answers):
    try:
        models = Models()
    except (ImportError, AttributeError) as error:
        sys.stderr.write(f"{error}\n")
        return NOT_INSTALLED
    with np.load(questions) as pictures:
        np.savez(answers, **{name: models.answer(name.split()[0], picture) for name, picture in pictures.items()})
    return 0


def record():
    """Write the numbers for all pictures of portrait_variants: landmarks in hundredths of a pixel, masks as blocks."""
    from portrait_variants import face_crops, scenes
    from skimage.data import astronaut

    models, numbers = Models(), {}
    for name, crop in face_crops(astronaut()).items():
        numbers[f"mesh {name}"] = np.rint(models.mesh(crop) * 100).astype(np.int16)
    for reach, side in (("short", 128), ("full", 192)):
        for name, picture in scenes(astronaut(), side).items():
            numbers[f"{reach} {name}"] = models.detect(picture, reach).round(4)
    for name, picture in scenes(astronaut(), 256).items():
        mask = models.answer("mask", picture)
        numbers[f"mask {name}"] = np.packbits(mask > 0.5)
        numbers[f"blocks {name}"] = block_means(mask).astype(np.float16)
    np.savez_compressed(NUMBERS, **numbers)
    print(f"{NUMBERS}: {len(numbers)} arrays, {NUMBERS.stat().st_size:,} bytes")


def block_means(mask, blocks=16):
    """Return the means (blocks, blocks) of the square blocks of a mask (S, S)."""
    side = len(mask) // blocks
    return mask.reshape(blocks, side, blocks, side).mean(axis=(1, 3))


if __name__ == "__main__":
    sys.exit(answer_file(*sys.argv[1:]) if len(sys.argv) > 1 else record())
