"""Process that runs MediaPipe's face models, so that the main process does not import them.

It answers requests of :mod:`sadtalker_ext.faces.worker_client` on its standard input and output and ends when its
input ends. Three operations, all on RGB uint8 pictures (H, W, 3):

- ``detect``: one picture and ``range`` ("short" or "full") -> (N, 17) float32: score, box x y width height and six
  key points x y (right eye, left eye, nose, mouth, right ear, left ear), all relative to the picture's size.
- ``mesh``: (N, 192, 192, 3) crops, each filled by one upright face -> (N, 478, 3) float32 x y z in crop pixels and
  (N,) float32 presence, the log odds that the crop shows a face.
- ``segment``: one picture -> (H, W) float32 in [0, 1].

Sources: MediaPipe's ``face_landmark_cpu``, ``face_detection`` and ``selfie_segmentation`` graphs (Apache-2.0).
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
import threading
import time
import types
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from sadtalker_ext.faces.protobuf_shim import patch_protobuf
from sadtalker_ext.faces.worker_protocol import Array, WorkerProtocolError, read_message, write_message

if TYPE_CHECKING:
    from mediapipe.framework.calculator_pb2 import CalculatorGraphConfig

CROP_PX = 192
DETECTION_FLOOR = 0.2
_MESH_GRAPH = """
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
_STUBBED_PACKAGES = ("mediapipe", "mediapipe.python.solutions")
_UNUSED_MODULES = ("matplotlib", "matplotlib.pyplot")


def main(import_mode: str = "full") -> None:
    """Answer requests until standard input ends. import_mode: see :func:`import_solutions`."""
    requests, answers = _claim_streams()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _end_with_parent()
    try:
        models = Models(import_mode)
    except (ImportError, AttributeError, OSError, RuntimeError, ValueError) as error:
        write_message(answers, {"error": f"{type(error).__name__}: {error}"})
        return
    write_message(answers, {"ready": True})
    while True:
        try:
            header, arrays = read_message(requests)
        except WorkerProtocolError:
            return
        try:
            results = models.answer(header, arrays)
        except (RuntimeError, ValueError, LookupError) as error:
            write_message(answers, {"error": f"{type(error).__name__}: {error}"})
        else:
            write_message(answers, {}, results)


def _claim_streams() -> tuple[BinaryIO, BinaryIO]:
    """Reserve the standard streams for messages; output of libraries goes to standard error."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return requests, answers


def _end_with_parent() -> None:
    """End this process soon after its parent, even if another process keeps the input open."""
    if os.name != "posix":
        return
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


class Models:
    """MediaPipe's graphs, opened when first used; the mesh graph is always needed and opened at once."""

    def __init__(self, import_mode: str) -> None:
        self._package = _package_folder()
        self._solutions = import_solutions(self._package, import_mode)
        self._presence, self._mesh = self._open_mesh()
        self._others: dict[str, Any] = {}

    def answer(self, header: dict[str, Any], arrays: list[Array]) -> list[Array]:
        """Run the operation named in ``header``."""
        operation = header["operation"]
        if operation == "detect":
            return [self._detect(arrays[0], header["range"])]
        if operation == "mesh":
            return list(self._find_meshes(arrays[0]))
        if operation == "segment":
            return [self._segment(arrays[0])]
        raise LookupError(f"unknown operation {operation}")

    def _open_mesh(self) -> tuple[str, Any]:
        from mediapipe.framework import calculator_pb2
        from mediapipe.python._framework_bindings import resource_util
        from mediapipe.python._framework_bindings.validated_graph_config import ValidatedGraphConfig
        from mediapipe.python.solution_base import SolutionBase

        resource_util.set_resource_dir(os.path.dirname(self._package))
        expanded = ValidatedGraphConfig()
        expanded.initialize(graph_config=_MESH_GRAPH)
        graph = calculator_pb2.CalculatorGraphConfig()
        graph.ParseFromString(expanded.binary_config)
        presence = _presence_stream(graph)
        graph.output_stream.append(presence)
        threshold = "facelandmarkcpu__ThresholdingCalculator.threshold"
        return presence, SolutionBase(graph_config=graph, calculator_params={threshold: -1e9})

    def _find_meshes(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        from mediapipe.framework.formats import rect_pb2

        whole = rect_pb2.NormalizedRect(x_center=0.5, y_center=0.5, width=1.0, height=1.0)
        meshes = np.zeros((len(crops), 478, 3), np.float32)
        presence = np.zeros(len(crops), np.float32)
        for index, crop in enumerate(crops):
            result = self._mesh.process({"image": crop, "roi": whole})
            presence[index] = getattr(result, self._presence)
            points = result.landmarks.landmark
            meshes[index] = [(point.x, point.y, point.z) for point in points]
        return meshes * np.float32(CROP_PX), presence

    def _detect(self, picture: NDArray[np.uint8], reach: str) -> NDArray[np.float32]:
        if reach not in self._others:
            number = {"short": 0, "full": 1}[reach]
            self._others[reach] = self._solutions.face_detection.FaceDetection(DETECTION_FLOOR, number)
        found = self._others[reach].process(picture).detections or []
        rows = np.zeros((len(found), 17), np.float32)
        for row, detection in zip(rows, found, strict=True):
            location = detection.location_data
            box = location.relative_bounding_box
            row[:5] = detection.score[0], box.xmin, box.ymin, box.width, box.height
            row[5:] = [value for point in location.relative_keypoints for value in (point.x, point.y)]
        return rows

    def _segment(self, picture: NDArray[np.uint8]) -> NDArray[np.float32]:
        if "segment" not in self._others:
            self._others["segment"] = self._solutions.selfie_segmentation.SelfieSegmentation(0)
        mask: NDArray[np.float32] = self._others["segment"].process(picture).segmentation_mask
        return mask


def import_solutions(folder: str, import_mode: str) -> types.SimpleNamespace:
    """Return MediaPipe's solutions that are used here. import_mode: ``lean`` or ``full``.

    ``import mediapipe`` loads matplotlib, every solution and the tasks API, which takes about 0.9 s. In lean mode, the
    two packages whose ``__init__`` only imports other modules are replaced by stubs (0.2 s). If that fails with a
    version of MediaPipe, the worker is started again in full mode.
    """
    if import_mode == "lean":
        _stub_packages(folder)
    patch_protobuf()
    # Importing face_mesh registers message types; without them, graphs ignore some options silently.
    from mediapipe.python.solutions import face_detection, face_mesh, selfie_segmentation  # noqa: F401

    return types.SimpleNamespace(face_detection=face_detection, selfie_segmentation=selfie_segmentation)


def _stub_packages(folder: str) -> None:
    for name in _UNUSED_MODULES:
        sys.modules[name] = types.ModuleType(name)
    for name in _STUBBED_PACKAGES:
        package = types.ModuleType(name)
        package.__path__ = [os.path.join(folder, *name.split(".")[1:])]
        sys.modules[name] = package


def _package_folder() -> str:
    spec = importlib.util.find_spec("mediapipe")
    if spec is None or not spec.submodule_search_locations:
        raise ImportError("the package mediapipe is not installed")
    return str(spec.submodule_search_locations[0])


def _presence_stream(graph: CalculatorGraphConfig) -> str:
    """Return the name of the output stream with the score that the crop shows a face."""
    for node in graph.node:
        if node.calculator == "TensorsToFloatsCalculator":
            return str(node.output_stream[0]).rsplit(":", 1)[-1]
    raise LookupError("MediaPipe's face graph has no presence score")


if __name__ == "__main__":
    main()
