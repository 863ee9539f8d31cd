"""Columns of the puppet's shapes in the expression coefficients of a clip."""

from __future__ import annotations

from typing import Final

from sadtalker_ext.puppet.basis import MOUTH_SHAPES, SHAPE_INDEX

MOUTH_COLUMNS: Final = tuple(SHAPE_INDEX[name] for name in MOUTH_SHAPES if name != "smile")
"""Shapes of the mouth that articulate speech."""
SPOKEN_COLUMNS: Final = (*MOUTH_COLUMNS, SHAPE_INDEX["mouth_neutral"])
"""Shapes that are predicted from speech alone; the last one is ``mouth_neutral``."""
BLINK_COLUMNS: Final = (SHAPE_INDEX["blink_left"], SHAPE_INDEX["blink_right"])
GAZE_COLUMNS: Final = (SHAPE_INDEX["gaze_x"], SHAPE_INDEX["gaze_y"])
