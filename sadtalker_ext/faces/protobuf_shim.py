"""MediaPipe 0.10 beside a protobuf that has dropped what MediaPipe asks it for.

MediaPipe 0.10.9 wants protobuf 3; other software on a machine may have lifted it (Forge's preprocessors do, to 7).
Only the worker's process is changed, and only where something is missing. Sources: release notes of protobuf 5.26
(``SymbolDatabase.GetPrototype`` and ``Message.RegisterExtension`` removed; its C form no more finds extensions of
files that were described in the old way) and 7.34 (``FieldDescriptor.label`` removed).
"""

from __future__ import annotations

import importlib
import os
from importlib.metadata import version
from typing import Any, Protocol

STRICTER, WITHOUT_LABELS = 5, 7
"""Major versions from which on things are missing; the C form cannot be given them, the Python form can."""


def supply_what_is_missing() -> None:
    """Call before anything imports protobuf. Raises ImportError where protobuf is not installed."""
    major = int(version("protobuf").partition(".")[0])
    if major < STRICTER:
        return
    os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"
    database: Any = importlib.import_module("google.protobuf.symbol_database").SymbolDatabase
    factory: Any = importlib.import_module("google.protobuf.message_factory")
    message: Any = importlib.import_module("google.protobuf.message").Message
    if not hasattr(database, "GetPrototype"):
        database.GetPrototype = lambda _, descriptor: factory.GetMessageClass(descriptor)
    if not hasattr(message, "RegisterExtension"):
        message.RegisterExtension = staticmethod(lambda _: None)
    if major >= WITHOUT_LABELS:
        field: Any = importlib.import_module("google.protobuf.descriptor").FieldDescriptor
        field.label = property(_label)


class _Field(Protocol):
    is_repeated: bool
    is_required: bool


def _label(field: _Field) -> int:
    """What ``label`` was: 1 optional, 2 required, 3 repeated (``descriptor.proto``)."""
    return 3 if field.is_repeated else 2 if field.is_required else 1
