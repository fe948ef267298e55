"""JPEG compression."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from bench.core.images import to_float, to_uint8
from bench.core.lazy import torch
from bench.core.pictures import through_jpeg
from bench.core.rng import Draw
from bench.core.validation import OF_HUNDRED
from bench.noises.base import Noise, noises


@noises.register("jpeg")
@dataclass(frozen=True)
class Jpeg(Noise):
    """JPEG compression and decompression, chroma subsampled 4:2:0, as Pillow does it.

    quality: from 1 (worst) to 100.
    Source: ITU-T T.81; severities of CIFAR-10-C's jpeg_compression (Hendrycks & Dietterich 2019).
    """

    level = "quality"
    severities = (80, 65, 58, 50, 40)
    quality: Annotated[int, Ge(1), Le(100), OF_HUNDRED] = 50

    def corrupt(self, images: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        pictures = to_uint8(images).permute(0, 2, 3, 1).cpu().numpy()
        quality = np.broadcast_to(np.asarray(torch.as_tensor(self.quality).cpu()).reshape(-1), len(pictures))
        coded = [through_jpeg(picture, int(level)) for picture, level in zip(pictures, quality, strict=True)]
        return to_float(torch.from_numpy(np.stack(coded)).permute(0, 3, 1, 2).contiguous().to(images.device))
