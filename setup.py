"""Build step that copies the web UI's JavaScript and CSS into the wheel; everything else is in pyproject.toml.

stable-diffusion-webui looks for these files in the repository root, but a wheel contains packages only.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
ASSETS = Path("sadtalker_ext", "webui", "assets")


class BuildWithAssets(build_py):
    """build_py that adds the web UI's assets to the built package."""

    def run(self) -> None:
        """Build the package; an editable installation uses the files in the repository root."""
        super().run()
        if self.editable_mode:
            return
        for source, target in self._assets():
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """Return the files that the build creates."""
        return [*super().get_outputs(include_bytecode), *(str(target) for _, target in self._assets())]

    def _assets(self) -> list[tuple[Path, Path]]:
        files = [*sorted(ROOT.glob("javascript/*.js")), ROOT / "style.css"]
        return [(path, Path(self.build_lib, ASSETS, path.relative_to(ROOT))) for path in files]


setup(cmdclass={"build_py": BuildWithAssets})
