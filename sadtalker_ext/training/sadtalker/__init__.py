"""Training recipes for the networks of the SadTalker engine."""
