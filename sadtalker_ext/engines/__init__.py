"""Engines: networks and weights behind one protocol."""
