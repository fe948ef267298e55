"""Ground that no spec can name: errors, registry, labels, randomness, pictures, machine, plug-ins."""
