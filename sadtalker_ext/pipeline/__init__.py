"""The story from files to a video."""
