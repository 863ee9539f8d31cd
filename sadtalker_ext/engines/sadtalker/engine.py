"""The SadTalker engine: the published networks, streaming, without the known defects of the official code."""

from __future__ import annotations

import random
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from sadtalker_ext.audio.mel import stream_mel
from sadtalker_ext.audio.windows import IDLE_MEL, stream_windows
from sadtalker_ext.engines.batches import in_batches
from sadtalker_ext.engines.motion_editing import StandardMotionEditor
from sadtalker_ext.engines.protocol import EngineSpec, MotionStyle
from sadtalker_ext.engines.read_ahead import read_ahead
from sadtalker_ext.engines.recent_values import RecentValues
from sadtalker_ext.engines.sadtalker import NAME
from sadtalker_ext.engines.sadtalker import coefficients as rows
from sadtalker_ext.engines.sadtalker.coefficients import from_motion, to_motion
from sadtalker_ext.engines.sadtalker.framing import (
    FadingFinish,
    FeatheredFinish,
    Framing,
    frame_portrait,
    mode_named,
    official_finish,
)
from sadtalker_ext.engines.sadtalker.inference import (
    predict_expression,
    predict_pose,
    source_tensor,
    to_pixels,
    view_angles,
)
from sadtalker_ext.engines.sadtalker.options import SadTalkerOptions
from sadtalker_ext.engines.sadtalker.parity import OfficialMotionEditor, view_of
from sadtalker_ext.engines.sadtalker.puppet_coefficients import SHAPE_COLUMNS, portrait_coefficients
from sadtalker_ext.engines.sadtalker.renderer import open_renderer
from sadtalker_ext.engines.sadtalker.scene import PreparedFace, RenderSource, starts_at_rest
from sadtalker_ext.engines.sadtalker.state import REFERENCES
from sadtalker_ext.errors import EngineError
from sadtalker_ext.geometry.landmarks import FACE_OVAL
from sadtalker_ext.models.keypoints import transform_keypoints
from sadtalker_ext.puppet.basis import SCALED_COLUMNS
from sadtalker_ext.weights.files import search_folders
from sadtalker_ext.weights.official import open_mapping, open_official
from sadtalker_ext.weights.packaged import PACKAGED, PUPPET, PackagedConfig

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from sadtalker_ext.arrays import Float32Array, Frame, UInt8Array
    from sadtalker_ext.audio.speech import Speech
    from sadtalker_ext.engines.protocol import MotionEditor
    from sadtalker_ext.engines.sadtalker.framing import Finish
    from sadtalker_ext.geometry.motion import Motion
    from sadtalker_ext.geometry.portrait import Portrait
    from sadtalker_ext.mesh.bfm import ModelMotion
    from sadtalker_ext.models.mapping_net import MappingNet
    from sadtalker_ext.runtime import Runtime
    from sadtalker_ext.weights.official import OfficialNetworks

    Networks = tuple[OfficialNetworks, MappingNet]

DEFAULT_OPTIONS: Final = SadTalkerOptions()
KEPT_PORTRAITS: Final = 4
"""Portraits whose encoded features stay in memory for the next video; one takes 9 MB at 256 pixels, 36 MB at 512."""
BATCHES_AHEAD: Final = 1
"""Batches that a GPU computes while frames of earlier ones are pasted and encoded."""
AUDIO_BATCH: Final = 32
"""Frames whose audio is processed together: the chunk length of PoseVAE."""


class SadTalkerEngine:
    """The networks and the portraits that were prepared last."""

    def __init__(
        self, runtime: Runtime, options: SadTalkerOptions = DEFAULT_OPTIONS, networks: Networks | None = None
    ) -> None:
        """Load the networks from the checkpoint folders, unless ``networks`` are given."""
        if options.size_px not in PACKAGED:
            sizes = " or ".join(str(size) for size in PACKAGED)
            raise EngineError(f"The engine {NAME} renders {sizes} pixels, not {options.size_px}")
        self.mode, self.options, self.runtime = mode_named(options.mode), options, runtime
        self.device = runtime.torch_device()
        runtime.torch_dtype_on(self.device)
        official, mapping = networks or open_networks(options, search_folders(runtime.folders))
        self.config, kind = official.config, official.config.coefficients
        self._ahead = 0 if self.device.type == "cpu" else BATCHES_AHEAD  # the networks keep all cores of a CPU busy
        self._generator = open_renderer(official.generator, runtime, self.device)  # the largest first: less memory
        self._keypoints = official.keypoint_detector().to(self.device)
        self._face_recon = None if kind == PUPPET else official.face_recon().to(self.device)
        self._pose_vae = official.pose_vae().to(self.device)
        self._exp_net = official.exp_net().to(self.device)
        self._mapping = mapping.to(self.device)
        self._faces: RecentValues[PreparedFace] = RecentValues(KEPT_PORTRAITS)
        self._sources: RecentValues[RenderSource] = RecentValues(KEPT_PORTRAITS)
        self.spec = engine_spec(self.config, official.name)
        columns = SCALED_COLUMNS if kind == PUPPET else tuple(range(rows.EXPRESSION.stop))
        editor_class = OfficialMotionEditor if options.parity else StandardMotionEditor
        self.editor: MotionEditor = editor_class(columns)

    def read_face(self, portrait: Portrait) -> Motion:
        """Return the 3DMM coefficients of the portrait as motion (T = 1)."""
        return to_motion(self._prepare_face(portrait).coefficients[None])

    def rig_motion(self, source: Motion, motion: Motion) -> Motion | None:
        """Return ``motion`` relative to the portrait; None if the expression is in coefficients of the 3DMM."""
        if self.config.coefficients != PUPPET:
            return None
        return motion.replace(
            expression=(motion.expression - source.expression[:1])[:, SHAPE_COLUMNS],
            rotation=motion.rotation - source.rotation[:1],
            translation=motion.translation - source.translation[:1],
        )

    @torch.inference_mode()
    def model_motion(self, portrait: Portrait, motion: Motion) -> ModelMotion:
        """Return the 3DMM coefficients of the portrait, with its identity, and of ``motion``."""
        from sadtalker_ext.mesh.bfm import ModelMotion

        if self._face_recon is None:
            raise EngineError("These networks were trained without the 3DMM, so there are no coefficients of it")
        face = self._prepare_face(portrait)
        aligned, _ = face.framing.aligned()
        identity = self._face_recon(source_tensor(aligned, len(aligned)).to(self.device)).identity[0].cpu().numpy()
        scale, shift = face.framing.aligned_to_picture()
        return ModelMotion(
            identity, face.coefficients[: rows.CROP.start], from_motion(motion), face.framing.picture, scale, shift
        )

    @torch.inference_mode()
    def predict_motion(self, speech: Speech, source: Motion, style: MotionStyle) -> Motion:
        """Predict the expression with ExpNet and poses with PoseVAE; the audio is streamed twice, never stored."""
        reference = torch.from_numpy(from_motion(source)[:1]).to(self.device)
        frames = speech.frames
        lids = style.blink * lid_closure(style, frames)
        base = from_motion(source)[:1, rows.EXPRESSION] if style.expression is None else style.expression
        bases = rows.loop_to_length(base, frames)
        latents = torch.Generator().manual_seed(style.seed)
        expression = []
        for start, mel in zip(range(0, frames, AUDIO_BATCH), self._mel_windows(speech, report=True), strict=True):
            part = slice(start, start + mel.shape[1])
            blink = torch.from_numpy(lids[part].astype(np.float32)).to(self.device)[None]
            base_part = torch.from_numpy(bases[part]).to(self.device)[None]
            expression.append(predict_expression(self._exp_net, mel, base_part, blink)[0].cpu())
        pose = predict_pose(
            self._pose_vae, self._mel_windows(speech), reference[:, rows.POSE], int(style.pose_style),
            lambda: torch.randn(1, self._pose_vae.config.latent_channels, generator=latents),
        )[0]  # fmt: skip
        smooth = rows.smooth_poses(pose.cpu().numpy())
        return to_motion(np.concatenate((torch.cat(expression).numpy(), smooth), axis=1))

    def render(self, portrait: Portrait, source: Motion, motion: Motion) -> Iterator[Frame]:
        """Yield the frames of the video in order, computed in batches."""
        return self.render_sections(portrait, source, iter([motion]), turns_far=False)

    def render_sections(
        self, portrait: Portrait, source: Motion, motions: Iterator[Motion], *, turns_far: bool
    ) -> Iterator[Frame]:
        """Yield the frames of one video for its motion in sections, all with the colours that suit its start."""
        prepared = self._scene(portrait)
        finish: Finish | None = None
        for motion in motions:
            with closing(self._squares(prepared, motion)) as squares:
                for square in squares:
                    finish = finish or self._finish(prepared, square, motion)
                    yield finish(square)

    def _squares(self, prepared: RenderSource, motion: Motion) -> Generator[UInt8Array, None, None]:
        """Yield the rendered squares (S, S, 3) of a motion in order."""
        driving = rows.drive_coefficients(from_motion(motion), prepared.face.coefficients)
        batch, fixed_view = self.runtime.frames_per_batch(), view_of(motion)

        def render_part(part: range) -> UInt8Array:
            view = None if fixed_view is None else fixed_view[part.start : part.stop]
            return self._render_squares(prepared, rows.coefficient_windows(driving, part), view)

        def render_parts() -> Generator[UInt8Array, None, None]:
            return in_batches(len(motion), batch, render_part, first=1)

        with closing(read_ahead(render_parts, self._ahead) if self._ahead else render_parts()) as parts:
            yield from chain.from_iterable(parts)

    def close(self) -> None:
        """Free the networks."""
        self._faces.clear()
        self._sources.clear()
        for name in ("_mapping", "_exp_net", "_pose_vae", "_face_recon", "_keypoints", "_generator"):
            setattr(self, name, None)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _mel_windows(self, speech: Speech, *, report: bool = False) -> Iterator[Tensor]:
        """Yield the mel windows (1, <= 32, 1, 80, 16) of all frames."""
        blocks = speech.reported_blocks() if report else speech.blocks()
        for windows in stream_windows(stream_mel(blocks), speech.frames, AUDIO_BATCH):
            if self.options.parity and speech.path is None:
                windows = np.full_like(windows, IDLE_MEL)  # noqa: PLW2901 - as the official code does
            yield torch.from_numpy(windows).to(self.device)[None]

    @torch.inference_mode()
    def _render_squares(
        self, prepared: RenderSource, windows: Float32Array, view_deg: Float32Array | None
    ) -> UInt8Array:
        """Render squares (B, S, S, 3) from coefficient windows (B, 70 or 73, 27) and the fixed view, if any."""
        head = self._mapping(torch.from_numpy(windows).to(self.device))
        driving = transform_keypoints(prepared.canonical, head, view_angles(view_deg, self.device))
        return to_pixels(self._generator.render(prepared.encoded, prepared.keypoints, driving))

    @torch.inference_mode()
    def _prepare_face(self, portrait: Portrait) -> PreparedFace:
        def prepare() -> PreparedFace:
            framing = frame_portrait(portrait, self.mode, self.config.size_px, self.options.parity)
            return PreparedFace(portrait, framing, self._read_coefficients(portrait, framing))

        return self._faces.get_or_make(id(portrait), prepare)  # the value keeps the portrait, so its id stays unique

    @torch.inference_mode()
    def _scene(self, portrait: Portrait) -> RenderSource:
        face = self._prepare_face(portrait)
        return self._sources.get_or_make(id(face), lambda: self._encode(face))  # unique for the same reason

    def _encode(self, face: PreparedFace) -> RenderSource:
        """Compute everything that depends on the portrait only."""
        image = source_tensor(face.framing.square, self.config.size_px).to(self.device)
        canonical, encoded = self._keypoints(image), self._generator.encode_source(image)
        head = self._mapping(torch.from_numpy(rows.still_window(face.coefficients)).to(self.device))
        keypoints = transform_keypoints(canonical, head)
        if self.options.parity or self.options.seamless or not self.mode.pasted:
            finish = None
        else:
            finish = FeatheredFinish(face.framing, face.portrait.landmarks.mesh[list(FACE_OVAL), :2])
        return RenderSource(face, canonical, keypoints, encoded, finish)

    def _finish(self, prepared: RenderSource, first: UInt8Array, motion: Motion) -> Finish:
        """Return the function that makes frames from squares. first: square (S, S, 3) of the first row of motion."""
        if prepared.finish is None:
            return official_finish(prepared.face.framing, self.mode)
        if starts_at_rest(motion, prepared.face.coefficients):
            return prepared.finish.matched_to(first)
        if len(motion) == 1:
            return prepared.finish.matched_to(self._square_at_rest(prepared))
        return FadingFinish(prepared.finish, first, partial(self._square_at_rest, prepared))

    @torch.inference_mode()
    def _square_at_rest(self, prepared: RenderSource) -> UInt8Array:
        """Render the square (S, S, 3) of the portrait without motion."""
        still = self._generator.render(prepared.encoded, prepared.keypoints, prepared.keypoints)
        return np.asarray(to_pixels(still)[0], dtype=np.uint8)

    def _read_coefficients(self, portrait: Portrait, framing: Framing) -> Float32Array:
        """Return the source coefficients (70 or 73,): expression, angles, translation, and for 73 the crop values."""
        if self._face_recon is None:
            own = portrait_coefficients(portrait.landmarks.mesh, framing.landmarks68, self.config.size_px)
            return own[: self.mode.coefficients]
        aligned, transform = framing.aligned()
        parts = self._face_recon(source_tensor(aligned, len(aligned)).to(self.device))
        found = torch.cat((parts.expression, parts.angle, parts.translation), dim=1)[0].cpu().numpy()
        crop = np.array([transform.scale, transform.x_px, transform.y_px], np.float32)
        return np.asarray(np.concatenate((found, crop))[: self.mode.coefficients], dtype=np.float32)


def open_networks(options: SadTalkerOptions, folders: Sequence[Path]) -> Networks:
    """Load the networks from the checkpoints in ``folders``, and the MappingNet that belongs to them."""
    coefficients = mode_named(options.mode).coefficients
    official = open_official(options.size_px, folders, coefficients)
    return official, open_mapping(coefficients, official.mapping_folders, official.config.coefficients)


def engine_spec(config: PackagedConfig, name: str) -> EngineSpec:
    """Return the properties of the engine with the networks of ``config`` from the file ``name``.

    Networks trained on the starter's expression shapes cannot copy a whole expression: those shapes are relative to
    the portrait.
    """
    puppet = config.coefficients == PUPPET
    origin = "trained" if puppet or config != PackagedConfig(config.size_px) else "official checkpoints"
    return EngineSpec(
        name=NAME,
        label=f"SadTalker {config.size_px} ({origin})",
        frame_size_px=config.size_px,
        pose_styles=tuple(str(style) for style in range(config.pose_vae.styles)),
        weights=(name,),
        references=REFERENCES[: -1 if puppet else None],
    )


def lid_closure(style: MotionStyle, frames: int) -> Float32Array:
    """Return the eyelid closure (T, 1): that of the reference, repeated, or random blinks."""
    if style.lids is not None:
        return rows.loop_to_length(style.lids[:, None], frames)
    return rows.random_blinks(frames, random.Random(style.seed))
