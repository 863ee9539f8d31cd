"""Three-dimensional talking faces: a textured mesh of the portrait with morph targets, and files for other programs.

All modules are pure functions of arrays; :mod:`sadtalker_ext.pipeline.mesh_files` connects them with the engines.
"""
