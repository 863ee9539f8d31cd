"""Parts of the extension inside a stub webui, and what its jobs and scripts process."""

import time
import wave

import numpy as np
from PIL import Image

RATE_HZ = 16000
ADDRESS = "http://127.0.0.1:7860"


def extension_of(host):
    return host.callbacks["ui_tabs"][-1].__self__


def write_voice(path, seconds):
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = 0.3 * np.sin(2 * np.pi * 4 * time_s) ** 2 * np.sign(np.sin(2 * np.pi * 140 * time_s))
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
        file.writeframes((32767 * sound).astype("<i2").tobytes())
    return path


def wait_for(condition, seconds=180):
    until_s = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.01)


class Processed:
    """Result of a generation: a grid and two pictures."""

    index_of_first_image = 1
    all_seeds = (7, 8)
    comments = "by the host"

    def __init__(self, portrait):
        picture = Image.open(portrait)
        self.images = [Image.new("RGB", (400, 200)), picture, picture]
