"""From checkpoints in the official format to a video, with nothing left out. The weights are noise, so is the face."""

import numpy as np
import pytest

from sadtalker_ext.pipeline.animate import animate
from sadtalker_ext.runtime import Runtime
from sadtalker_ext.settings import Settings
from sadtalker_ext.video.read import probe, read_frames
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


def test_two_frames_end_to_end(checkpoints, voice, tmp_path):
    from PIL import Image
    from skimage.data import astronaut

    folder, paths = checkpoints
    assert paths[0].stat().st_size == PACKAGED_SIZE_BYTES
    picture, out = tmp_path / "astronaut.png", tmp_path / "out.mp4"
    Image.fromarray(astronaut()).save(picture)
    settings = Settings(engine="sadtalker", frame_rate=10, pose_style="45")
    result = animate(picture, voice, out, settings, Runtime(device="cpu", batch_size=1, folders=(folder,)))
    assert result.frames == 2
    assert (probe(out).width_px, probe(out).height_px) == (512, 512)
    frames = list(read_frames(out))
    far = np.abs(frames[0][300:].astype(int) - astronaut()[300:]).mean()
    near = np.abs(frames[0][40:170, 160:310].astype(int) - astronaut()[40:170, 160:310]).mean()
    assert far < 6 < near
    assert (folder / "mapping_00109-model.safetensors").is_file()
    (folder / "mapping_00109-model.safetensors").unlink()
