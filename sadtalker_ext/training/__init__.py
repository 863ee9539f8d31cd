"""Recipes that train every component, on one loop."""
