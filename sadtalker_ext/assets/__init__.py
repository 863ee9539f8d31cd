"""Data files that ship with the package; README.md in this folder documents the origin of each."""
