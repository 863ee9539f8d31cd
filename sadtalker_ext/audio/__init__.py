"""Decoding of speech, mel spectrograms, and pitch and prosody at the frame rate of the video."""
