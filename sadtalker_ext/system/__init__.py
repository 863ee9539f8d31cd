"""Child processes, input and output files, and checks of HTTP requests."""
