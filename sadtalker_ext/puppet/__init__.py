"""The puppet: a geometric, 3D-aware face renderer that needs no trained weights."""
