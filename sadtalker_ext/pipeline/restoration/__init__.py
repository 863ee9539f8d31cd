"""Face restorers and upscalers that run on rendered frames."""
