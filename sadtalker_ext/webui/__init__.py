"""The web UI: a page of its own, and a tab of stable-diffusion-webui."""
