"""Reading of pictures and videos, and writing of MP4 files."""
