"""Ground: what every room stands on and no spec can name."""
