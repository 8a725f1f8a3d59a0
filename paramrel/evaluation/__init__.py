"""What the latents hold, whether they are used, and what the data cost."""
