"""Faces by the package ``face-alignment``, where MediaPipe has no models or sees nothing.

It finds 68 points (Bulat and Tzimiropoulos, "How far are we from solving the 2D & 3D face alignment problem?", 2017)
after downloading about 180 MB of weights at its first use; :func:`sadtalker_ext.geometry.mean_face.lift_68` makes the
whole mesh of them.
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
from numpy.typing import NDArray

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
    """Whether the package is there; nothing is imported."""
    return importlib.util.find_spec("face_alignment") is not None


def find(picture: NDArray[np.uint8], box: FaceBox | None = None) -> list[Landmarks]:
    """Every face of an RGB picture (H, W, 3), the largest first; or the one in ``box``.

    FaceError where the package or its weights cannot be had.
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
        raise FaceError("The second face finder is not installed: pip install face-alignment")
    try:
        _require_weights()
        import face_alignment

        detector = face_alignment.FaceAlignment
        options = {"compile": False} if "compile" in inspect.signature(detector).parameters else {}
        _opened.append(detector(face_alignment.LandmarksType.TWO_HALF_D, device="cpu", **options))
    except (OSError, RuntimeError) as error:
        raise FaceError(
            f"The second face finder, face-alignment, could not download its weights ({error}): connect to the "
            "internet for its first use"
        ) from error
    except (ImportError, AttributeError) as error:
        raise FaceError(
            f"The second face finder, face-alignment, cannot be used ({error}): pip install -U face-alignment"
        ) from error
    return _opened[0]


def _require_weights() -> None:
    """Fail within seconds, not minutes, where weights are missing and their server cannot be reached.

    Knows where torch keeps downloads (TORCH_HOME) without importing it.
    """
    cache = os.environ.get("XDG_CACHE_HOME", os.path.join("~", ".cache"))
    folder = Path(os.environ.get("TORCH_HOME", os.path.join(cache, "torch"))).expanduser() / "hub" / "checkpoints"
    here = all(any(folder.glob(pattern)) for pattern in _WEIGHT_FILES)
    if not here and not urllib.request.getproxies():
        socket.create_connection((_WEIGHT_SERVER, 443), timeout=_CONNECT_S).close()
