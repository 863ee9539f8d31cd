"""Results of the face networks that this process has computed, for tests of what is built on them.

Most tests animate the same few portraits. The networks are deterministic and run on one thread, so equal pictures have
equal results; tests of the networks themselves (tests/faces, tests/models) do not use this.
"""

import hashlib
import sys
import threading
from collections import OrderedDict
from functools import wraps

import numpy as np

NETWORKS = "sadtalker_ext.faces.networks"
FOLDERS = frozenset(
    ("api", "cli", "engines", "examples", "fuzz", "host", "mesh", "pipeline", "puppet", "training", "webui")
)
"""Folders of tests that use the results."""
LIMIT_BYTES = 64_000_000


class NetworkMemo:
    """Keeps the results of one class; ``active`` is whether they are used."""

    def __init__(self):
        self.active = False
        self._results, self._bytes = OrderedDict(), 0
        self._lock, self._patched = threading.Lock(), None

    def install(self):
        """Wrap the methods of the class, once its module has been imported."""
        module = sys.modules.get(NETWORKS)
        if module is None or self._patched is module:
            return
        self._patched = module
        for name in ("detect", "landmarks", "mouth_cover", "segment"):
            setattr(module.FaceNetworks, name, self._remember(getattr(module.FaceNetworks, name)))

    def _remember(self, method):
        @wraps(method)
        def call(networks, pictures, *arguments):
            if not self.active or networks._cover_file is not None:
                return method(networks, pictures, *arguments)
            digest = hashlib.blake2b()
            for picture in pictures:
                digest.update(repr(picture.shape).encode() + np.ascontiguousarray(picture).tobytes())
            key = (method.__name__, str(networks._device), arguments, digest.digest())
            with self._lock:
                found = self._results.get(key)
            if found is None:
                found = method(networks, pictures, *arguments)
                self._keep(key, found)
            return _copied(found)

        return call

    def _keep(self, key, found):
        with self._lock:
            if key not in self._results:
                self._results[key] = _copied(found)
                self._bytes += _size(found)
            while self._bytes > LIMIT_BYTES:
                self._bytes -= _size(self._results.popitem(last=False)[1])


def _copied(found):
    return found.copy() if isinstance(found, np.ndarray) else type(found)(array.copy() for array in found)


def _size(found):
    return found.nbytes if isinstance(found, np.ndarray) else sum(array.nbytes for array in found)


MEMO = NetworkMemo()
