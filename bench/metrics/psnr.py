"""Peak signal-to-noise ratio."""

from dataclasses import dataclass

from bench.core.lazy import torch
from bench.metrics.base import Pair, PairMetric, metrics


@metrics.register("psnr")
@dataclass(frozen=True)
class Psnr(PairMetric):
    """Peak signal-to-noise ratio of an image, 10 log10(1 / mse); infinite for a perfect one.

    Source: skimage.metrics.peak_signal_noise_ratio(data_range=1); the ceiling is that of libvmaf for 8 bits,
    6 x bits + 12 dB.
    """

    title = "PSNR"
    unit = "dB"
    decimals = 2
    ceiling = 60.0

    def measure(self, pair: Pair) -> "torch.Tensor":
        return -10 * pair.mse.log10()
