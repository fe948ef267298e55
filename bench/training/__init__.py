"""Functions that train, score and measure. Nothing here writes to disk."""
