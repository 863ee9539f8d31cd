"""Compatibility of MediaPipe 0.10 with newer versions of protobuf, which removed attributes that MediaPipe uses.

MediaPipe 0.10.9 requires protobuf 3, but other software may have installed a newer version (Forge's preprocessors
install 7). Only the worker process is patched, and only missing attributes are added. Sources: release notes of
protobuf 5.26 (``SymbolDatabase.GetPrototype`` and ``Message.RegisterExtension`` removed; the C implementation no longer
finds extensions of files with old descriptors) and 7.34 (``FieldDescriptor.label`` removed).
"""

from __future__ import annotations

import importlib
import os
from importlib.metadata import version
from typing import Any, Protocol

NO_PROTOTYPES_MAJOR, NO_LABELS_MAJOR = 5, 7
"""First major versions without these attributes, which can be added to the pure Python implementation only."""


def patch_protobuf() -> None:
    """Add the missing attributes; call before protobuf is imported. ImportError if protobuf is not installed."""
    major = int(version("protobuf").partition(".")[0])
    if major < NO_PROTOTYPES_MAJOR:
        return
    os.environ["PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION"] = "python"
    database: Any = importlib.import_module("google.protobuf.symbol_database").SymbolDatabase
    factory: Any = importlib.import_module("google.protobuf.message_factory")
    message: Any = importlib.import_module("google.protobuf.message").Message
    if not hasattr(database, "GetPrototype"):
        database.GetPrototype = lambda _, descriptor: factory.GetMessageClass(descriptor)
    if not hasattr(message, "RegisterExtension"):
        message.RegisterExtension = staticmethod(lambda _: None)
    if major >= NO_LABELS_MAJOR:
        field: Any = importlib.import_module("google.protobuf.descriptor").FieldDescriptor
        field.label = property(_label)


class _Field(Protocol):
    is_repeated: bool
    is_required: bool


def _label(field: _Field) -> int:
    """Return the former ``label``: 1 optional, 2 required, 3 repeated (``descriptor.proto``)."""
    return 3 if field.is_repeated else 2 if field.is_required else 1
