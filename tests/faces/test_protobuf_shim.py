"""MediaPipe with newer versions of protobuf. ``.ci/browser`` runs the face tests with protobuf 7 installed."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from sadtalker_ext.faces import protobuf_shim

CHECK = """
import os, sys
from importlib import metadata
found = metadata.version
metadata.version = lambda name: sys.argv[1] if name == "protobuf" else found(name)
from sadtalker_ext.faces import protobuf_shim
protobuf_shim.patch_protobuf()
from google.protobuf.symbol_database import SymbolDatabase
from google.protobuf.internal import api_implementation
from mediapipe.framework.formats import rect_pb2
print(api_implementation.Type(), hasattr(SymbolDatabase, "GetPrototype"), rect_pb2.NormalizedRect(width=0.5).width)
"""


def run_check(protobuf_version: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CHECK, protobuf_version], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_supported_protobuf_is_not_changed() -> None:
    code = "from google.protobuf.internal import api_implementation; print(api_implementation.Type())"
    plain = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300)
    assert run_check("3.20.0")[0] == plain.stdout.strip()


def test_a_newer_protobuf_uses_its_python_implementation() -> None:
    assert run_check("6.33.0") == ["python", "True", "0.5"]


@pytest.mark.parametrize(
    ("repeated", "required", "label"),
    [(False, False, "OPTIONAL"), (False, True, "REQUIRED"), (True, False, "REPEATED")],
)
def test_labels_are_those_of_the_format(repeated: bool, required: bool, label: str) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto

    field = SimpleNamespace(is_repeated=repeated, is_required=required)
    assert protobuf_shim._label(field) == FieldDescriptorProto.Label.Value(f"LABEL_{label}")
