"""Text to speech: providers of voices behind one protocol, and the synthesis of a text to a WAV file."""
