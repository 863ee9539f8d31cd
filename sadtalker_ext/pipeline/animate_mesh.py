"""Make a 3D face that speaks, without a video of the portrait.

Example::

    from pathlib import Path
    from sadtalker_ext import Inputs, MeshFiles, make_mesh

    make_mesh(Inputs(Path("me.png"), Path("voice.mp3")), MeshFiles(Path("face.glb"), Path("face.csv")))
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sadtalker_ext.ffmpeg import interruptible
from sadtalker_ext.pipeline.animate import prepare_task
from sadtalker_ext.pipeline.mesh_files import MeshFiles, MeshWriter
from sadtalker_ext.pipeline.prediction import predict
from sadtalker_ext.pipeline.prepare import prepare_inputs, timing_of, whole_text
from sadtalker_ext.pipeline.text_to_speech import with_voice

if TYPE_CHECKING:
    from sadtalker_ext.engines.session import EngineSource
    from sadtalker_ext.pipeline.inputs import Inputs
    from sadtalker_ext.pipeline.progress import Watcher
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.settings import Settings


@dataclass(frozen=True)
class MeshResult:
    """The finished files.

    sound: whether there is a sound beside the mesh. stage_s: seconds spent in each stage. notes: sentences for the
    user.
    """

    files: MeshFiles
    sound: bool
    frames: int
    duration_s: float
    stage_s: dict[str, float]
    total_s: float
    notes: tuple[str, ...] = ()

    def written(self) -> dict[str, Path]:
        """Return the files by what they are; the mesh is first, as ``path``."""
        files = self.files
        wav = files.wav if self.sound else None
        named = {"path": files.glb, "wav": wav, "blendshapes": files.blendshapes, "shaded": files.shaded}
        return {name: path for name, path in named.items() if path is not None}

    def to_mapping(self) -> dict[str, object]:
        """Return the result as JSON values."""
        return {
            **{name: str(path) for name, path in self.written().items()},
            "frames": self.frames,
            "duration_s": self.duration_s,
            "stage_s": {stage: round(seconds, 4) for stage, seconds in self.stage_s.items()},
            "total_s": round(self.total_s, 4),
            "notes": list(self.notes),
        }


def make_mesh(
    inputs: Inputs,
    files: MeshFiles,
    settings: Settings | None = None,
    runtime: Runtime | None = None,
    watcher: Watcher | None = None,
    *,
    engine: EngineSource | None = None,
) -> MeshResult:
    """Write the animated mesh of the portrait and what ``files`` names besides; on any error no file is left.

    The arguments are those of :func:`~sadtalker_ext.pipeline.animate.make_video`, and the motion is that of its video.
    """
    task = prepare_task(inputs, (settings, runtime, watcher), engine)
    with interruptible(task.watcher.check):
        files.check(task.inputs.files, sound=task.inputs.idle_s is None)
        with with_voice(task) as spoken, MeshWriter(files) as writer, prepare_inputs(spoken) as prepared:
            motion = predict(spoken, prepared)
            whole = whole_text(spoken, prepared)
            timing = timing_of(spoken, whole)
            notes = writer.write(spoken, whole, motion, timing)
    watch = task.stopwatch
    return MeshResult(
        files,
        task.inputs.idle_s is None,
        timing.frames,
        timing.frames / timing.rate_hz,
        watch.stage_s,
        watch.now_s,
        (*prepared.notes, *notes),
    )
