"""From checkpoints in the official format to frames, with nothing left out; the weights are random."""

from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from sadtalker_ext.assets import demo_portrait
from sadtalker_ext.pipeline.animate import render_frames
from sadtalker_ext.pipeline.inputs import Inputs
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings
from sadtalker_ext.weights.catalog import PACKAGED_SIZE_BYTES
from sadtalker_ext.weights.random_weights import make_random_weights


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp("random")
    paths = make_random_weights(folder)
    yield folder, paths
    for path in paths:
        path.unlink()


@pytest.fixture
def voice(tmp_path):
    import wave

    path = tmp_path / "voice.wav"
    samples = (np.sin(np.arange(3200) * 0.1) * 8000).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16000)
        file.writeframes(samples.tobytes())
    return path


def test_first_frame_of_full_size_networks(checkpoints, voice):
    """One frame only: another one takes 16 s of CPU time, and finished videos are tested with stub networks."""
    folder, paths = checkpoints
    assert paths[0].stat().st_size == PACKAGED_SIZE_BYTES
    settings = Settings(engine="sadtalker", frame_rate=10, pose_style="45")
    runtime = Runtime(device="cpu", batch_size=1, folders=(folder,))
    portrait = np.asarray(Image.open(demo_portrait()).convert("RGB")).astype(int)
    with closing(render_frames(Inputs(demo_portrait(), voice), settings, runtime)) as frames:
        assert len(frames) == 2
        frame = next(frames)
    assert frame.shape == portrait.shape
    far = np.abs(frame[300:].astype(int) - portrait[300:]).mean()
    near = np.abs(frame[40:170, 160:310].astype(int) - portrait[40:170, 160:310]).mean()
    assert far < 6 < near
    assert (folder / "mapping_00109-model.safetensors").is_file()
    (folder / "mapping_00109-model.safetensors").unlink()
