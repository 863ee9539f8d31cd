"""Checkpoint catalog, download, strict loading, and the weights that ship with the package."""
