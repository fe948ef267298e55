"""Peak signal-to-noise ratio."""

from dataclasses import dataclass

from bench.core.lazy import torch
from bench.metrics._conventions import Conventional
from bench.metrics.base import Pair, metrics


@metrics.register("psnr")
@dataclass(frozen=True)
class Psnr(Conventional):
    """Peak signal-to-noise ratio of an image, 10 log10(1 / mse); infinite for a perfect one.

    Source: skimage.metrics.peak_signal_noise_ratio(data_range=1); the ceiling is that of libvmaf for 8 bits,
    6 x bits + 12 dB.
    """

    title = "PSNR"
    unit = "dB"
    decimals = 2
    ceiling = 60.0

    def measure(self, pair: Pair) -> "torch.Tensor":
        return -10 * self.seen(pair).mse.log10()

    @property
    def pooled(self) -> bool:  # type: ignore[override]  # here its convention decides
        return self.convention.pooled
