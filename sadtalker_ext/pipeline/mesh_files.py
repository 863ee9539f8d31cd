"""The files of a 3D face: mesh, sound, blend shapes and a shaded video, written together or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sadtalker_ext.errors import FileRef, MediaError
from sadtalker_ext.pipeline.output import check_output, output_folder
from sadtalker_ext.system.atomic_output import AtomicOutput

if TYPE_CHECKING:
    from types import TracebackType

    from sadtalker_ext.arrays import Frame
    from sadtalker_ext.engines.protocol import VideoTiming
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.mesh.animation import MeshAnimation
    from sadtalker_ext.mesh.face_mesh import FaceMesh
    from sadtalker_ext.pipeline.prediction import SourceAndMotion
    from sadtalker_ext.pipeline.prepare import PreparedInputs, Task
    from sadtalker_ext.settings import Settings
    from sadtalker_ext.sound_source import SoundSource

    AnimatedMesh = tuple[FaceMesh, MeshAnimation]

MESH_STAGE: Final = "mesh"
SHADED_STAGE: Final = "shaded frames"
"""Stages that build the mesh, and that draw the shaded video."""
GLB, WAV = ".glb", ".wav"
BLENDSHAPE_SUFFIXES: Final = (".json", ".csv")
SHADED_SUFFIX: Final = ".mp4"


@dataclass(frozen=True)
class MeshFiles:
    """The files to write.

    glb: the mesh, in binary glTF; its sound gets the same name with .wav. blendshapes: curves of the ARKit shapes,
    .json or .csv, or None. shaded: a video of the mesh without its texture, .mp4, or None.
    """

    glb: Path
    blendshapes: Path | None = None
    shaded: Path | None = None

    @property
    def wav(self) -> Path:
        """The file of the sound."""
        return self.glb.with_suffix(WAV)

    def check(self, inputs: tuple[Path, ...], *, sound: bool) -> None:
        """Raise MediaError if a file is an input, has a wrong suffix, or cannot be written; sound: whether there is."""
        suffixes: dict[Path, tuple[str, ...]] = {self.glb: (GLB,)}
        if sound:
            suffixes[self.wav] = (WAV,)
        if self.blendshapes is not None:
            suffixes[self.blendshapes] = BLENDSHAPE_SUFFIXES
        if self.shaded is not None:
            suffixes[self.shaded] = (SHADED_SUFFIX,)
        for path, allowed in suffixes.items():
            check_output(path, inputs, allowed)
        if len({path.resolve() for path in suffixes}) < len(suffixes):
            raise MediaError("The ", FileRef("output", self.glb), " is also another output: choose different names")


@dataclass(frozen=True)
class VideoOutputs:
    """A video, and the files of its 3D model."""

    video: Path
    model: MeshFiles


def chosen_outputs(out_path: str | Path | VideoOutputs, settings: Settings) -> tuple[Path, MeshFiles | None]:
    """Return the video, and the files of its 3D model: those that are named, or those that the settings ask for."""
    if isinstance(out_path, VideoOutputs):
        return out_path.video, out_path.model
    path = Path(out_path)
    return path, MeshFiles(path.with_suffix(GLB)) if settings.model_3d else None


class MeshWriter:
    """Writes the files of a 3D face; they get their names at the end of the block, and are removed on any error."""

    def __init__(self, files: MeshFiles | None) -> None:
        self.files = files
        self._stack = ExitStack()

    def __enter__(self) -> MeshWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stack.__exit__(kind, error, at)

    def write(
        self, task: Task, prepared: PreparedInputs, motion: SourceAndMotion, timing: VideoTiming
    ) -> tuple[str, ...]:
        """Write all files for the motion of a video, one row per frame; return sentences for the user."""
        if self.files is None:
            return ()
        from sadtalker_ext.pipeline.mesh_motion import rig_motion

        task.watcher.stage(MESH_STAGE)
        with task.stopwatch.stage(MESH_STAGE):
            mesh, animation, notes = self._animated_mesh(task, prepared, motion, timing)
            self._write_glb(prepared.speech.source, mesh, animation)
            if self.files.blendshapes is not None:
                moved, notes = rig_motion(task, prepared, motion, timing)
                self._write_blendshapes(self.files.blendshapes, moved, timing.rate_hz)
        if self.files.shaded is not None:
            self._write_shaded(self.files.shaded, task, prepared.speech.source, (mesh, animation))
        return notes

    @staticmethod
    def _animated_mesh(
        task: Task, prepared: PreparedInputs, motion: SourceAndMotion, timing: VideoTiming
    ) -> tuple[FaceMesh, MeshAnimation, tuple[str, ...]]:
        """Return the mesh and its motion: of the Basel Face Model where possible, else of the portrait's landmarks."""
        from sadtalker_ext.mesh.animation import animate_mesh
        from sadtalker_ext.mesh.bfm import model_animation, model_mesh
        from sadtalker_ext.pipeline.mesh_motion import model_motion, portrait_mesh, rig_motion

        found = model_motion(task, prepared, motion)
        if found is not None:
            model, rows = found
            note = "The 3D model is the Basel Face Model with the coefficients of the video"
            return model_mesh(model, rows), model_animation(rows, timing.rate_hz), (note,)
        moved, notes = rig_motion(task, prepared, motion, timing)
        rig, mesh = portrait_mesh(prepared.portrait)
        return mesh, animate_mesh(rig, moved, timing.rate_hz), notes

    def _write_glb(self, sound: SoundSource | None, mesh: FaceMesh, animation: MeshAnimation) -> None:
        from sadtalker_ext.mesh.gltf import write_glb
        from sadtalker_ext.video.sound_file import write_wav

        assert self.files is not None  # noqa: S101 - checked in write()
        wav = self.files.wav
        with self._open(self.files.glb).open("wb") as file:
            write_glb(file, mesh, animation, {} if sound is None else {"audio": wav.name})
        if sound is not None:
            write_wav(sound, FileRef("output", wav), self._open(wav), len(animation) / animation.rate_hz)

    def _write_blendshapes(self, path: Path, motion: Motion, rate_hz: float) -> None:
        from sadtalker_ext.mesh.blendshapes import write_csv, write_json

        write = write_csv if path.suffix.lower() == ".csv" else write_json
        with self._open(path).open("w", encoding="utf-8", newline="") as file:
            write(file, motion, rate_hz)

    def _write_shaded(self, path: Path, task: Task, sound: SoundSource | None, animated: AnimatedMesh) -> None:
        from sadtalker_ext.mesh import shading
        from sadtalker_ext.video.write import VideoSpec, write_video

        mesh, animation = animated
        spec = VideoSpec(animation.rate_hz, len(animation), sound)
        self._stack.enter_context(output_folder(path))
        frames: Iterator[Frame] = shading.ShadedView(mesh, shading.SIZE_PX).frames(animation)
        with task.stopwatch.stage(SHADED_STAGE):
            write_video(task.watcher.watch(frames, SHADED_STAGE, len(animation)), path, spec)

    def _open(self, path: Path) -> Path:
        """Return the temporary file of an output; creates its folder."""
        self._stack.enter_context(output_folder(path))
        return self._stack.enter_context(AtomicOutput(path)).path
