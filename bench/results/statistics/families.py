"""Several comparisons at once."""

from collections.abc import Sequence


def holm(p_values: Sequence[float], alpha: float) -> list[float]:
    """The level that Holm's steps leave each comparison of a family: its interval at that level decides it.

    The i-th least p is held against alpha / (k - i + 1); from the first that exceeds it on, all have that level. So a
    family in which nothing differs contains a false find with the probability alpha at most, whatever its dependence.
    Source: Holm 1979, A simple sequentially rejective multiple test procedure.
    """
    left = len(p_values)
    levels, level, stopped = [alpha] * left, alpha, False
    for place in sorted(range(left), key=p_values.__getitem__):
        if not stopped:
            level = alpha / left
            stopped = p_values[place] > level
            left -= 1
        levels[place] = level
    return levels
