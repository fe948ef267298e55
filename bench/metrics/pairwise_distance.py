"""The distance of torch.nn.PairwiseDistance."""

from dataclasses import dataclass
from typing import Literal

from bench.core.lazy import torch
from bench.metrics.base import Pair, PairMetric, metrics


@metrics.register("pairwise_distance")
@dataclass(frozen=True)
class PairwiseDistance(PairMetric):
    """Euclidean distance of image and target, with 1e-6 added to every difference as torch does.

    over: `row` averages the distances of all rows of all channels, which is what the torch call makes of a batch of
        images; `image` takes the whole image as one vector.
    Source: torch.nn.PairwiseDistance(p=2, eps=1e-6).
    """

    title = "pairwise distance"
    better = "lower"

    over: Literal["row", "image"] = "row"

    def measure(self, pair: Pair) -> "torch.Tensor":
        vectors = pair.difference.flatten(1 if self.over == "image" else 3)
        return torch.linalg.vector_norm(vectors + 1e-6, dim=-1).view(len(vectors), -1).mean(1)
