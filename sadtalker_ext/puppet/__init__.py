"""Geometric portrait renderer: warps a portrait by expression and head pose in 3D, without trained weights."""
