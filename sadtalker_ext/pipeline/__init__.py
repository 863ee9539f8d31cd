"""Video pipeline: from a portrait and a voice to a video file, in batches and as jobs of a server."""
