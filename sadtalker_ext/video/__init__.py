"""Pictures and videos in, one H.264 file out."""
