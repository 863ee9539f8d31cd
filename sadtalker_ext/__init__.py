"""SadTalker: make a video of a talking person from one portrait and speech.

Example::

    from sadtalker_ext import Settings, animate

    animate("me.jpg", "voice.mp3", "talking.mp4", Settings(still=True))

The package runs on its own (command line, Python, REST, web UI) and inside stable-diffusion-webui. The names below are
imported when they are first used, so that importing the package loads nothing else.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sadtalker_ext.engines.session import OpenEngine, open_engine
    from sadtalker_ext.errors import SadTalkerError
    from sadtalker_ext.pipeline.animate import Result, animate, make_video, render_frames
    from sadtalker_ext.pipeline.animate_mesh import MeshResult, make_mesh
    from sadtalker_ext.pipeline.frame_stream import FrameStream
    from sadtalker_ext.pipeline.inputs import Inputs
    from sadtalker_ext.pipeline.mesh_files import MeshFiles
    from sadtalker_ext.pipeline.progress import Progress, Watcher
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings

__version__ = "0.2.0"
__all__ = [
    "FrameStream",
    "Inputs",
    "MeshFiles",
    "MeshResult",
    "OpenEngine",
    "Progress",
    "Result",
    "Runtime",
    "SadTalkerError",
    "Settings",
    "Watcher",
    "__version__",
    "animate",
    "make_mesh",
    "make_video",
    "open_engine",
    "render_frames",
]

_MODULES = {
    "FrameStream": "pipeline.frame_stream",
    "Inputs": "pipeline.inputs",
    "MeshFiles": "pipeline.mesh_files",
    "MeshResult": "pipeline.animate_mesh",
    "OpenEngine": "engines.session",
    "Progress": "pipeline.progress",
    "Result": "pipeline.animate",
    "Runtime": "runtime",
    "SadTalkerError": "errors",
    "Settings": "settings",
    "Watcher": "pipeline.progress",
    "animate": "pipeline.animate",
    "make_mesh": "pipeline.animate_mesh",
    "make_video": "pipeline.animate",
    "open_engine": "engines.session",
    "render_frames": "pipeline.animate",
}


def __getattr__(name: str) -> object:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
