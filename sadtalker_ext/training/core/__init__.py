"""The training loop and what every recipe shares: checkpoints, logs, processes."""
