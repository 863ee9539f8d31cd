"""Contact sheets of sample images, for following the training of the renderer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sadtalker_ext.engines.sadtalker.inference import to_pixels
from sadtalker_ext.system.atomic_output import write_file

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from sadtalker_ext.arrays import Image as ImageArray
    from sadtalker_ext.training.sadtalker.renderer_networks import RenderedFrames

GAP_PX: Final = 4
DOT_PX: Final = 2
TITLES: Final = ("source", "driving", "ours", "occlusion", "keypoints")
TITLE_PX: Final = 14
SOURCE_COLOR: Final = (90, 140, 255)
DRIVING_COLOR: Final = (255, 160, 60)


def write_contact_sheet(path: Path, source: Tensor, driving: Tensor, rendered: RenderedFrames) -> None:
    """Write a PNG with one row per example and the columns :data:`TITLES`.

    source, driving: images (B, 3, S, S) in [0, 1]. The occlusion map is white where the features of the source are
    used. The last column shows the keypoints of the source in blue and those of the driving image in orange, near ones
    brighter, on the source.
    """
    from PIL import Image, ImageDraw

    columns = [to_pixels(images) for images in (source, driving, rendered.image)]
    side = columns[0].shape[1]
    masks = to_pixels(rendered.motion.occlusion.expand(-1, 3, -1, -1))
    step = side + GAP_PX
    sheet = Image.new("RGB", (step * len(TITLES), TITLE_PX + step * len(source)), "white")
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(TITLES):
        draw.text((column * step + 2, 1), title, "black")
    for row in range(len(source)):
        top = TITLE_PX + row * step
        for column, images in enumerate(columns):
            sheet.paste(Image.fromarray(images[row]), (column * step, top))
        mask = Image.fromarray(masks[row]).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(mask, (3 * step, top))
        keypoints = {
            SOURCE_COLOR: rendered.keypoints.source[row], DRIVING_COLOR: rendered.keypoints.driving[row]
        }  # fmt: skip
        sheet.paste(Image.fromarray(draw_keypoints(columns[0][row], keypoints)), (4 * step, top))
    write_file(path, lambda part: sheet.save(part, "PNG"))


def draw_keypoints(image: ImageArray, keypoints_by_color: dict[tuple[int, int, int], Tensor]) -> ImageArray:
    """Return the image (S, S, 3), darkened, with a dot at each keypoint; keypoints are (K, 3) in [-1, 1] by colour."""
    out = (image // 2).astype(np.uint8)
    side = len(out)
    for color, keypoints in keypoints_by_color.items():
        for x, y, z in keypoints.detach().float().cpu().numpy():
            brightness = np.clip(0.75 + 0.25 * z, 0.4, 1.0)
            center = np.rint((np.array([y, x]) + 1) / 2 * side - 0.5).astype(int)
            low, high = np.clip(center - DOT_PX // 2, 0, side), np.clip(center + DOT_PX // 2 + 1, 0, side)
            out[low[0] : high[0], low[1] : high[1]] = np.uint8(brightness * np.array(color))
    return out
