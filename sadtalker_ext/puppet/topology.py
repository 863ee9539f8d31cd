"""Indices of the MediaPipe face mesh points that the geometric renderer uses.

Source: MediaPipe Face Mesh topology (468 points, followed by 10 iris points). "Right" is the subject's right, which is
on the left of the picture. Chains run from left to right in the picture for the mouth, and from the outer to the inner
corner for eyes and brows.
"""

from __future__ import annotations

from typing import Final

FACE_POINTS: Final = 468
"""Number of mesh points on the skin; the iris points follow."""

MOUTH_UPPER_INNER: Final = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
MOUTH_LOWER_INNER: Final = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
MOUTH_UPPER_OUTER: Final = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
MOUTH_LOWER_OUTER: Final = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
MOUTH_CORNERS: Final = (61, 291)
MIDDLE: Final = len(MOUTH_UPPER_INNER) // 2
"""Place of the middle point in each of the four mouth chains."""

RIGHT_EYE_UPPER: Final = (33, 246, 161, 160, 159, 158, 157, 173, 133)
RIGHT_EYE_LOWER: Final = (33, 7, 163, 144, 145, 153, 154, 155, 133)
LEFT_EYE_UPPER: Final = (263, 466, 388, 387, 386, 385, 384, 398, 362)
LEFT_EYE_LOWER: Final = (263, 249, 390, 373, 374, 380, 381, 382, 362)
RIGHT_BROW: Final = (46, 53, 52, 65, 55)
LEFT_BROW: Final = (276, 283, 282, 295, 285)
RIGHT_IRIS: Final = (468, 469, 470, 471, 472)
LEFT_IRIS: Final = (473, 474, 475, 476, 477)
"""The first iris point is the centre, the others lie on the edge."""

FOREHEAD: Final = 10
CHIN: Final = 152
NOSE_BOTTOM: Final = 2
CHEEK_RIGHT: Final = 234
CHEEK_LEFT: Final = 454
CHEEK_SKIN: Final = (36, 50, 101, 118, 187, 205, 266, 280, 330, 347, 411, 425)
"""Points on both cheeks, away from eyes, nose and mouth."""
FACE_OVAL: Final = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
    152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip

SKULL_POINTS: Final = (
    6, 168, 197, 195, 5, 4, 122, 351, 196, 419, 193, 417, 33, 133, 362, 263, 10, 151, 9, 8, 67, 109, 338, 297, 69, 299,
    104, 333, 103, 332, 54, 284, 21, 251, 127, 356, 162, 389, 234, 454, 116, 345, 227, 447, 117, 346, 143, 372,
)  # fmt: skip
"""Points that move with the skull only: the nose above its tip, eye corners, forehead, temples and cheek bones."""

MIRRORED_RIGHT: Final = (
    *RIGHT_EYE_UPPER, *RIGHT_EYE_LOWER[1:-1], *RIGHT_BROW, *CHEEK_SKIN[:6], 116, 117, 123, 147, 213, 192, 214, 135, 169,
    215, 138, 177, 137, 48, 64, 98, 61, 40, 37, 91, 84, 104, 69, 24, 25, 27, 29, 30, 31, 34, 35, 63, 68, 70, 71, 105,
    110, 111, 113, 119, 124, 130, 139, 143, 156, 202, 207, 210, 212, 216, 223, 224, 225, 226, 227, 228, 229, 230, 247,
)  # fmt: skip
MIRRORED_LEFT: Final = (
    *LEFT_EYE_UPPER, *LEFT_EYE_LOWER[1:-1], *LEFT_BROW, 266, 280, 330, 347, 411, 425, 345, 346, 352, 376, 433, 416, 434,
    364, 394, 435, 367, 401, 366, 278, 294, 327, 291, 270, 267, 321, 314, 333, 299, 254, 255, 257, 259, 260, 261, 264,
    265, 293, 298, 300, 301, 334, 339, 340, 342, 348, 353, 359, 368, 372, 383, 422, 427, 430, 432, 436, 443, 444, 445,
    446, 447, 448, 449, 450, 467,
)  # fmt: skip
"""Points of the right half of the face, and their partners on the left one, in the same order."""
MIDLINE: Final = (10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 1, 2, 0, 17, 18, 200, 199, 175, 152)
"""Points between both halves."""
FACE_OVAL_MIRRORED: Final = (FACE_OVAL[0], *FACE_OVAL[:0:-1])
"""The partners of FACE_OVAL on the other half."""
