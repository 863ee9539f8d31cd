"""Access to the operating system: child processes, input and output files, and the guard of HTTP requests."""
