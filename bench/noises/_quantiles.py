"""Quantile functions of distributions, vectorised, to turn normal draws into draws from them."""

from bench.core.lazy import torch


def poisson_quantile(rate: "torch.Tensor", score: "torch.Tensor") -> "torch.Tensor":
    """The Poisson count at the quantile of a standard normal value, so that a normal draw becomes a Poisson draw.

    rate: expected counts, >= 0. score: standard normal, same shape. Returns whole numbers as float32.
    Source: Giles 2016, Algorithm 955 (doi:10.1145/2699466): asymptotic inverse for large rates, summation for small.
    """
    large = rate.clamp(min=10.0)
    square = score * score
    root = large.sqrt()
    estimate = large + root * score + (2 + square) / 6 - score * (2 + square) / (72 * root)
    estimate += (-16 + square * (7 + 3 * square)) / (810 * large)
    counts = estimate.floor().clamp_(min=0)
    few = rate < 10
    if few.any():
        counts[few] = _poisson_by_summation(rate[few], torch.special.ndtr(score[few].double()))
    return counts


def _poisson_by_summation(rate: "torch.Tensor", level: "torch.Tensor") -> "torch.Tensor":
    term = torch.exp(-rate.double())
    total = term.clone()
    counts = torch.zeros_like(rate)
    for count in range(1, 50):  # P(Poisson(10) >= 50) < 1e-18
        above = level > total
        if not above.any():
            break
        counts += above
        term = term * rate / count
        total += term
    return counts
