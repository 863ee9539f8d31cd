"""Event handlers of the engine and its checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import gradio as gr

from sadtalker_ext.engines.registry import engine_names, engine_state
from sadtalker_ext.pipeline.inputs import ALL, EYES, EYES_AND_POSE, POSE
from sadtalker_ext.settings import Settings
from sadtalker_ext.webui.engine_panel import panel_view, to_download_mb
from sadtalker_ext.webui.page_context import PageContext
from sadtalker_ext.webui.setting_choices import pose_style_labels
from sadtalker_ext.webui.setting_widgets import engine_specific
from sadtalker_ext.weights.catalog import MIRRORS

REFERENCE_USES: Final = (
    ("Blinks and head motion", EYES_AND_POSE), ("Blinks", EYES), ("Head motion", POSE), ("Everything", ALL),
)  # fmt: skip
"""Label and value of what can be copied from a reference video."""
WRONG_SOURCE: Final = "Choose one of the sources under Download from."


class EngineActions:
    """Event handlers of the engine and its checkpoints."""

    def __init__(self, context: PageContext) -> None:
        self._context = context

    def select_engine(self, engine: Any) -> list[Any]:  # noqa: ANN401 - a value of a request
        """Return updates for an engine that was chosen, and remove the message of the last download.

        They update the settings of the engine, the checkpoints, the reference and its uses, the motion styles, and the
        panel.
        """
        engine = known_engine(engine)
        state = engine_state(engine, self._context.checkpoint_folders())
        settings = [gr.update(visible=spec.supported_by(engine)) for spec in engine_specific()]
        uses = gr.update(choices=reference_use_choices(state.references), value=EYES_AND_POSE)
        return [
            *settings, gr.update(visible=bool(state.checkpoints)), gr.update(visible=bool(state.references)), uses,
            gr.update(choices=pose_style_labels(engine)), *self.forget_error(engine),
        ]  # fmt: skip

    def engine_panel(self, engine: Any, deep: bool = False) -> list[Any]:  # noqa: ANN401 - a value of a request
        """Return the state of an engine and its checkpoints, and updates of the buttons: download, source, verify."""
        name, folders = known_engine(engine), self._context.checkpoint_folders()
        download = self._context.download
        state = engine_state(name, folders, deep)
        size_mb = to_download_mb(state)
        text = "Resume the download" if download.error and size_mb else f"Download {size_mb:,.0f} MB"
        present = any(file.path is not None for file in state.checkpoints)
        return [
            panel_view(state, folders, download), gr.update(value=text, visible=bool(size_mb)),
            gr.update(visible=bool(size_mb)), gr.update(visible=present),
        ]  # fmt: skip

    def verify_checkpoints(self, engine: Any) -> list[Any]:  # noqa: ANN401 - a value of a request
        """Return the same after reading every checkpoint completely."""
        return self.engine_panel(engine, deep=True)

    def start_download(self, engine: Any, mirror: Any) -> list[Any]:  # noqa: ANN401 - values of a request
        """Start to download the missing checkpoints of an engine from the mirror of this name."""
        if not isinstance(mirror, str) or mirror not in MIRRORS:
            self._context.download.error = WRONG_SOURCE
            return self.engine_panel(engine)
        folders = self._context.checkpoint_folders()
        state = engine_state(known_engine(engine), folders)
        names = [file.name for file in state.checkpoints if file.problem]
        self._context.download.start(names, folders[0], mirror)
        return self.engine_panel(engine)

    def stop_download(self, engine: Any) -> list[Any]:  # noqa: ANN401 - a value of a request
        """Stop the download."""
        self._context.download.stop()
        return self.engine_panel(engine)

    def forget_error(self, engine: Any) -> list[Any]:  # noqa: ANN401 - a value of a request
        """Remove the message of the last download, as the user has chosen another source or engine."""
        self._context.download.error = ""
        return self.engine_panel(engine)


def known_engine(value: Any) -> str:  # noqa: ANN401 - a value of a request
    """Return the name of an engine in a request; that of the default engine if there is none of this name."""
    return value if value in engine_names() else Settings().engine


def reference_use_choices(references: Sequence[str]) -> list[tuple[str, str]]:
    """Return label and value of those uses of a reference that an engine supports."""
    return [(label, use) for label, use in REFERENCE_USES if use in references]
