"""MediaPipe's process beside other protobufs; with protobuf 7 itself ``.ci/browser`` runs the tests of faces."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest

from sadtalker_ext.faces import protobuf_shim as newer_protobuf

CHECK = """
import os, sys
from importlib import metadata
found = metadata.version
metadata.version = lambda name: sys.argv[1] if name == "protobuf" else found(name)
from sadtalker_ext.faces import protobuf_shim as newer_protobuf
newer_protobuf.supply_what_is_missing()
from google.protobuf.symbol_database import SymbolDatabase
from google.protobuf.internal import api_implementation
from mediapipe.framework.formats import rect_pb2
print(api_implementation.Type(), hasattr(SymbolDatabase, "GetPrototype"), rect_pb2.NormalizedRect(width=0.5).width)
"""


def answers(said_version: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CHECK, said_version], check=False, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_what_mediapipe_wants_stays_as_it_is() -> None:
    code = "from google.protobuf.internal import api_implementation as form; print(form.Type())"
    plain = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300)
    assert answers("3.20.0")[0] == plain.stdout.strip()


def test_a_stricter_one_is_taken_in_its_python_form() -> None:
    assert answers("6.33.0") == ["python", "True", "0.5"]


@pytest.mark.parametrize(
    ("repeated", "required", "label"),
    [(False, False, "OPTIONAL"), (False, True, "REQUIRED"), (True, False, "REPEATED")],
)
def test_labels_are_those_of_the_format(repeated: bool, required: bool, label: str) -> None:
    from google.protobuf.descriptor_pb2 import FieldDescriptorProto

    field = SimpleNamespace(is_repeated=repeated, is_required=required)
    assert newer_protobuf._label(field) == FieldDescriptorProto.Label.Value(f"LABEL_{label}")
