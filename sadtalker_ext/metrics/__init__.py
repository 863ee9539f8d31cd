"""Measures of sync, motion and image quality."""
