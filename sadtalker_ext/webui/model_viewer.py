"""The 3D model of the shown result: a viewer, and its files to download."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import gradio as gr

from sadtalker_ext.mesh.gltf import write_turned
from sadtalker_ext.pipeline.mesh_files import GLB, MeshFiles
from sadtalker_ext.webui.change_events import Request, connect_change
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.results import find_result

LIGHT_GREY: Final = (0.92, 0.92, 0.92, 1.0)
"""Background of the viewer, RGBA: dark hair and a dark page must both be seen."""


@dataclass
class ModelWidgets:
    """The part of the page, hidden while the shown result has no 3D model; the viewer, and the files."""

    part: Any
    viewer: Any
    files: Any


def build_model_viewer() -> ModelWidgets:
    """Build the viewer at the current place in the layout."""
    with gr.Accordion("3D model", open=True, visible=False, elem_id="sadtalker_model_part") as part:
        viewer = gr.Model3D(label="3D model", show_label=False, clear_color=list(LIGHT_GREY), elem_id="sadtalker_model")
        files = gr.File(label="Files", file_count="multiple", interactive=False, elem_id="sadtalker_model_files")
    return ModelWidgets(part, viewer, files)


def connect_model_viewer(widgets: ModelWidgets, hidden: dict[str, Any], context: PageContext) -> None:
    """Show the 3D model, if there is one, whenever the name of the shown result changes.

    hidden: fields and buttons that only the page's script uses, by name.
    """
    copies = ViewerCopies()

    def show(name: Any) -> list[Any]:  # noqa: ANN401 - a value of a request
        files = model_files(name if isinstance(name, str) else "", context.results_folder())
        view = str(copies.make(files[0])) if files else None
        return [gr.update(visible=bool(files)), gr.update(value=view), gr.update(value=[str(file) for file in files])]

    shown = hidden["shown_result"]
    request = Request(show, shown, [widgets.part, widgets.viewer, widgets.files])
    connect_change([shown.change], hidden["show_model"], request)


class ViewerCopies:
    """Copies of 3D models that face the camera of Gradio's viewer, in a temporary folder that ends with the program."""

    def __init__(self) -> None:
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def make(self, model: Path) -> Path:
        """Return the copy of a model; the next model of the same name replaces it."""
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="sadtalker-viewer-")
        copy = Path(self._folder.name) / model.name
        write_turned(model, copy)
        return copy


def model_files(name: str, folder: Path) -> list[Path]:
    """Return the 3D model and the sound of a result of this name in ``folder``; empty if it has no model."""
    video = find_result(name, folder) if name else None
    if video is None:
        return []
    model = MeshFiles(video.with_suffix(GLB))
    if not model.glb.is_file():
        return []
    return [path for path in (model.glb, model.wav) if path.is_file()]
