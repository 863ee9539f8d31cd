"""The web UI: a standalone page, and a tab of stable-diffusion-webui."""
