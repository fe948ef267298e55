"""Short ways to corrupt images, for the tests of noises."""

import io
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.core.rng import Draw
from bench.noises import noises

Node = str | dict[str, Any]  # a thing registered, as a spec writes it


def draw_for(images: torch.Tensor, seed: int = 0) -> Draw:
    return Draw(tuple(images.shape), seed, ("test",), torch.arange(len(images)))


def corrupt(node: Node, images: torch.Tensor, seed: int = 0) -> torch.Tensor:
    return noises.parse(node).apply(images, draw_for(images, seed))


def images_of(count: int, size: tuple[int, int], seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(seed % 2**32))


def through_pillow(image: torch.Tensor, quality: int) -> torch.Tensor:
    coded = io.BytesIO()
    pixels = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    Image.fromarray(pixels).save(coded, "JPEG", quality=quality, subsampling="4:2:0")
    return torch.from_numpy(np.array(Image.open(coded))).permute(2, 0, 1).float() / 255
