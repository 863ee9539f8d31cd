"""The page, alone and inside stable-diffusion-webui."""
