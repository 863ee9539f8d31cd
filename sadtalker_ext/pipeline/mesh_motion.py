"""Motion of any engine for the mesh of a portrait, in the shapes of the expression basis."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.protocol import ModelMotionEngine, RigMotionEngine
from sadtalker_ext.errors import EngineError
from sadtalker_ext.mesh.bfm import BFM_NAME

if TYPE_CHECKING:
    from sadtalker_ext.engines.protocol import VideoTiming
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.mesh.bfm import FaceModel, ModelMotion
    from sadtalker_ext.mesh.face_mesh import FaceMesh
    from sadtalker_ext.pipeline.prediction import SourceAndMotion
    from sadtalker_ext.pipeline.prepare import PreparedInputs, Task
    from sadtalker_ext.puppet.rig import Rig

PIXEL_CENTRE: Final = np.array([0.5, 0.5, 0.0], np.float32)
"""Landmarks have integers at pixel corners, rigs at pixel centres."""


def portrait_mesh(portrait: Portrait) -> tuple[Rig, FaceMesh]:
    """Return the rig of a portrait and its mesh."""
    from sadtalker_ext.mesh.face_mesh import build_face_mesh
    from sadtalker_ext.puppet.imaging import CpuImaging
    from sadtalker_ext.puppet.rig import build_rig

    landmarks = portrait.landmarks.mesh - PIXEL_CENTRE
    rig = build_rig(portrait.picture, landmarks, portrait.person, CpuImaging(), mouth_covered=portrait.mouth_covered)
    return rig, build_face_mesh(rig, landmarks, portrait.person)


def model_motion(task: Task, prepared: PreparedInputs, motion: SourceAndMotion) -> tuple[FaceModel, ModelMotion] | None:
    """Return the Basel Face Model and the motion in its coefficients, where the engine has them and the user the file.

    WeightsError if the file cannot be used.
    """
    from sadtalker_ext.mesh.bfm import find_bfm, read_bfm
    from sadtalker_ext.weights.files import search_folders

    engine = prepared.engine
    if not isinstance(engine, ModelMotionEngine) or not isinstance(engine, RigMotionEngine):
        return None
    path = find_bfm(search_folders(task.runtime.folders))
    if path is None or engine.rig_motion(motion.source, motion.motion) is not None:
        return None
    return read_bfm(path), engine.model_motion(prepared.portrait, motion.motion)


def rig_motion(
    task: Task, prepared: PreparedInputs, motion: SourceAndMotion, timing: VideoTiming
) -> tuple[Motion, tuple[str, ...]]:
    """Return the motion of a video for the mesh, relative to the portrait, and sentences for the user.

    Where the engine's coefficients are of another basis, the mouth and the eyes are those of the starter engine for the
    same voice, and the head moves as in the video.
    """
    engine = prepared.engine
    if not isinstance(engine, RigMotionEngine):
        raise EngineError(f"The engine {engine.spec.name} cannot make a 3D model; choose the engine starter")
    moved = engine.rig_motion(motion.source, motion.motion)
    if moved is not None:
        return moved, ()
    note = (
        f"The expression of the engine {engine.spec.name} is in coefficients of the Basel Face Model, whose file "
        f"{BFM_NAME} is in no checkpoint folder. The 3D model has the mesh, mouth and eyes of the engine starter; its "
        "head moves as in the video"
    )
    return _with_starter_expression(task, prepared, motion, timing), (note,)


def _with_starter_expression(
    task: Task, prepared: PreparedInputs, motion: SourceAndMotion, timing: VideoTiming
) -> Motion:
    from sadtalker_ext.engines.starter.engine import StarterEngine

    starter = StarterEngine(task.runtime)
    try:
        source = starter.read_face(prepared.portrait)
        style = replace(prepared.style, pose_style=starter.spec.pose_styles[0], lids=None, expression=None)
        predicted = starter.predict_motion(prepared.speech.with_check(task.watcher.check), source, style)
        edited = starter.editor.edit(predicted, source, task.settings, timing)
        moved = edited.replace(
            rotation=motion.motion.rotation - motion.source.rotation[:1],
            translation=motion.motion.translation - motion.source.translation[:1],
        )
        return starter.rig_motion(source, moved)
    finally:
        starter.close()
