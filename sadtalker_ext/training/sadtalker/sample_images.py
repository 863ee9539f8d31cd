"""Pictures by which a person follows the training of the renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.sadtalker.inference import to_pixels
from sadtalker_ext.system.atomic_output import write_file

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from sadtalker_ext.training.sadtalker.renderer_networks import Moved

GAP_PX: Final = 4
DOT_PX: Final = 2
TITLES: Final = ("source", "driving", "ours", "occlusion", "keypoints")
TITLE_PX: Final = 14


def write_sheet(path: Path, source: Tensor, driving: Tensor, moved: Moved) -> None:
    """A PNG: a row per example; columns as in :data:`TITLES`. Pictures (B, 3, S, S) in [0, 1].

    Occlusion is white where the source's features are used. Keypoints are those of the source on the source in blue
    and those of the driving picture in orange, nearer ones brighter.
    """
    from PIL import Image, ImageDraw

    shown = [to_pixels(picture) for picture in (source, driving, moved.picture)]
    side = shown[0].shape[1]
    masks = to_pixels(moved.motion.occlusion.expand(-1, 3, -1, -1))
    step = side + GAP_PX
    sheet = Image.new("RGB", (step * len(TITLES), TITLE_PX + step * len(source)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(TITLES):
        draw.text((column * step + 2, 1), title, "black")
    for row in range(len(source)):
        top = TITLE_PX + row * step
        for column, pictures in enumerate(shown):
            sheet.paste(Image.fromarray(pictures[row]), (column * step, top))
        mask = Image.fromarray(masks[row]).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(mask, (3 * step, top))
        points = {(90, 140, 255): moved.found.source[row], (255, 160, 60): moved.found.driving[row]}
        sheet.paste(Image.fromarray(dotted(shown[0][row], points)), (4 * step, top))
    write_file(path, lambda part: sheet.save(part, "PNG"))


def dotted(picture: NDArray[np.uint8], points: dict[tuple[int, int, int], Tensor]) -> NDArray[np.uint8]:
    """The picture (S, S, 3), darker, with dots of the given colours at keypoints (K, 3) in [-1, 1]."""
    out = (picture // 2).astype(np.uint8)
    side = len(out)
    for colour, keypoints in points.items():
        for x, y, z in keypoints.detach().float().cpu().numpy():
            light = np.clip(0.75 + 0.25 * z, 0.4, 1.0)
            centre = np.rint((np.array([y, x]) + 1) / 2 * side - 0.5).astype(int)
            low, high = np.clip(centre - DOT_PX // 2, 0, side), np.clip(centre + DOT_PX // 2 + 1, 0, side)
            out[low[0] : high[0], low[1] : high[1]] = np.uint8(light * np.array(colour))
    return out
