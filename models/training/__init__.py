"""What every training loop shares: layers, best weights, checkpoints, several machines, divergence."""
