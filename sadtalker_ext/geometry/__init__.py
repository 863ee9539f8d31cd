"""Pure geometry: rotations, motion, landmarks, crops, pasting. Arrays in, arrays out."""
