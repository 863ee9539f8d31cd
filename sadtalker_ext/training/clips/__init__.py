"""Data sets of talking clips: preparation from videos, synthetic clips, shards."""
