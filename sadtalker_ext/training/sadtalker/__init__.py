"""Recipes for the networks of the SadTalker engine."""
