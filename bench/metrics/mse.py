"""Mean squared error."""

from dataclasses import dataclass

from bench.core.lazy import torch
from bench.metrics.base import Pair, PairMetric, metrics


@metrics.register("mse")
@dataclass(frozen=True)
class Mse(PairMetric):
    """Mean squared error over the pixels and channels of an image.

    Source: skimage.metrics.mean_squared_error.
    """

    title = "MSE"
    better = "lower"

    def measure(self, pair: Pair) -> "torch.Tensor":
        return pair.mse
