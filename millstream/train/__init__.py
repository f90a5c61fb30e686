"""Training: optimisers, learning rates, moving averages, the global step."""
