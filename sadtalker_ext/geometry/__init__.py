"""Geometry of faces and pictures: rotations, motion, landmarks, crops and pasting, as functions on arrays."""
