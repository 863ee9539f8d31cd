"""Missing packages are reported with what does not work and the remedy."""

import importlib.util

import pytest

from sadtalker_ext.pipeline import environment
from sadtalker_ext.pipeline.environment import missing_packages


@pytest.mark.parametrize(("installed", "message"), [(True, ""), (False, "imageio-ffmpeg is missing. Install")])
def test_missing_ffmpeg_is_reported(monkeypatch, installed, message):
    found = importlib.util.find_spec("pytest") if installed else None
    monkeypatch.setattr(environment, "find_spec", {"imageio_ffmpeg": found}.get)
    sentences = missing_packages()
    assert len(sentences) == bool(message)
    assert message in " ".join(sentences)
