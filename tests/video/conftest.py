import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sadtalker_ext.ffmpeg import ffmpeg_program


@pytest.fixture
def make_media(tmp_path: Path) -> Callable[..., Path]:
    """Create a file in ``tmp_path`` with ffmpeg from lavfi sources and further arguments."""

    def make(name: str, *sources: str, arguments: tuple[str, ...] = ()) -> Path:
        inputs = [word for source in sources for word in ("-f", "lavfi", "-i", source)]
        subprocess.run([ffmpeg_program(), "-v", "error", "-y", *inputs, *arguments, tmp_path / name], check=True)
        return tmp_path / name

    return make
