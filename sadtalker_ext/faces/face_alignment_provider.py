"""Face landmarks by the package ``face-alignment``, used if the shipped networks find no face.

It finds 68 points (Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?", 2017)
and downloads about 180 MB of weights when first used; :func:`sadtalker_ext.geometry.mean_face.lift_68` estimates the
full mesh.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import socket
import threading
import urllib.request
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from sadtalker_ext.arrays import Image
from sadtalker_ext.errors import FaceError
from sadtalker_ext.geometry.landmarks import FaceBox, Landmarks
from sadtalker_ext.geometry.mean_face import lift_68

PROVIDER = "face-alignment"
_WEIGHT_FILES = ("3DFAN4-*", "s3fd-*")
_WEIGHT_SERVER = "www.adrianbulat.com"
_CONNECT_S = 4.0
_lock = threading.Lock()
_opened: list[Any] = []


def installed() -> bool:
    """Return whether the package is installed, without importing it."""
    return importlib.util.find_spec("face_alignment") is not None


def find(picture: Image, box: FaceBox | None = None) -> list[Landmarks]:
    """Return all faces of an RGB picture (H, W, 3), largest first, or the face in ``box``.

    FaceError if the package or its weights are not available.
    """
    given = None if box is None else [np.array([box.x, box.y, box.x + box.width, box.y + box.height, 1.0])]
    with _lock, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _open().get_landmarks_from_image(picture, detected_faces=given) or []
    faces = [Landmarks.from_mesh(lift_68(np.asarray(points, np.float32)), PROVIDER) for points in found]
    return sorted(faces, key=lambda face: -face.box.width * face.box.height)


def _open() -> Any:  # noqa: ANN401 - a class of an untyped package
    if _opened:
        return _opened[0]
    if not installed():
        raise FaceError(
            "The second face detector, face-alignment, is not installed: install the package face-alignment"
        )
    try:
        _require_weights()
        import face_alignment

        detector = face_alignment.FaceAlignment
        options = {"compile": False} if "compile" in inspect.signature(detector).parameters else {}
        _opened.append(detector(face_alignment.LandmarksType.TWO_HALF_D, device="cpu", **options))
    except (OSError, RuntimeError) as error:
        raise FaceError(
            f"The second face detector, face-alignment, could not download its weights ({error}): connect to the "
            "internet when it is first used"
        ) from error
    except (ImportError, AttributeError) as error:
        raise FaceError(
            f"The second face detector, face-alignment, cannot be used ({error}): upgrade the package face-alignment"
        ) from error
    return _opened[0]


def _require_weights() -> None:
    """Raise OSError within seconds, not minutes, if weights are missing and their server cannot be reached.

    Finds the download folder of torch (TORCH_HOME) without importing torch.
    """
    cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    folder = Path(os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))).expanduser() / "hub" / "checkpoints"
    present = all(any(folder.glob(pattern)) for pattern in _WEIGHT_FILES)
    if not present and not urllib.request.getproxies():
        socket.create_connection((_WEIGHT_SERVER, 443), timeout=_CONNECT_S).close()
