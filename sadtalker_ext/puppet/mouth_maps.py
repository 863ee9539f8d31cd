"""What the compositing of the mouth needs of one frame: maps over the pixels of the mouth box, and a few numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from sadtalker_ext.arrays import Float32Array
    from sadtalker_ext.puppet.backend_array import BackendArray
    from sadtalker_ext.puppet.warp import Window

_POINT_MAPS: Final = 3
"""The first fields of :class:`MouthMaps` are points, which take two channels each."""


class MouthMaps(NamedTuple):
    """Maps over the mouth box. Points are source pixels (h, w, 2); the others are (h, w).

    u is the position along the mouth in half mouth widths, from -1 to 1 between the corners. Distances are face
    heights, positive downwards.
    """

    upper_points: BackendArray
    """Source points that the skin above the mouth shows here."""
    lower_points: BackendArray
    """Source points that the skin below the mouth shows here."""
    own_points: BackendArray
    """Source points that the portrait's own interior shows here."""
    from_upper_lip: BackendArray
    """Distance below the edge of the upper lip as it is now."""
    from_lower_lip: BackendArray
    """Distance below the edge of the lower lip as it is now."""
    skull_u: BackendArray
    """u in the skull, which does not move with the mouth corners."""
    skull_from_upper: BackendArray
    """Distance below the place of the upper lip's edge in the source."""
    skull_from_lower: BackendArray
    """Distance below the place of the lower lip's edge in the source."""
    lip_u: BackendArray
    """u along the upper lip, which moves with the mouth corners."""

    @classmethod
    def from_channels(cls, channels: BackendArray) -> MouthMaps:
        """Return the maps in channels (h, w, 12), as :meth:`to_channels` returns them."""
        points = [channels[..., 2 * index : 2 * index + 2] for index in range(_POINT_MAPS)]
        return cls(*points, *(channels[..., index] for index in range(2 * _POINT_MAPS, channels.shape[-1])))

    def to_channels(self) -> Float32Array:
        """Return NumPy maps as one array (h, w, 12), for resizing."""
        points, distances = self[:_POINT_MAPS], self[_POINT_MAPS:]
        channels: Float32Array = np.concatenate([*points, np.stack(distances, axis=-1)], axis=-1).astype(np.float32)
        return channels

    def window(self, window: Window) -> MouthMaps:
        """Return the maps of the pixels in ``window``."""
        return MouthMaps(*(part[window] for part in self))


@dataclass(frozen=True)
class MouthState:
    """State of the mouth in one frame, in face heights unless stated otherwise.

    jaw: drop of the lower teeth, negative where the portrait's open mouth closes. opened: distance that the lips have
    parted or closed from the source. raised: rise of the upper lip. sealed: 1 where closed lips show nothing of the
    interior, else 0. pucker: how far the lips are rounded, 0 to 1. smile: how far they smile, 0 to 1. roll_upper,
    roll_lower: how much of each lip is rolled in. parallax_u: shift of the teeth along the mouth, half mouth widths.
    parallax_down: shift of the teeth downwards.
    """

    jaw: float
    opened: float
    raised: float
    sealed: float
    pucker: float
    smile: float
    roll_upper: float
    roll_lower: float
    parallax_u: float
    parallax_down: float
