"""Recipes for the networks of the starter engine."""
