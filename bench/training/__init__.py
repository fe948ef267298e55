"""Functions that train, score and measure; nothing here writes to disk."""
