"""SadTalker: one portrait and speech become a video of that person talking.

The package works alone (command line, Python, REST, standalone page) and inside
stable-diffusion-webui. Importing it does nothing and is cheap; heavy packages are
imported where they are used.
"""

__version__ = "0.1.0"
