"""Images: batches to corrupt, data to train on, pictures of every kind."""

import io
import struct
import zlib
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.core.rng import Draw
from bench.datasets import Data
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


BANDS = {"1": 0, "L": 0, "P": 3, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}


def made_up(mode: str, height: int = 37, width: int = 601) -> Image.Image:
    """Random values in one of Pillow's modes; 16 bits where it is `I;16`."""
    draw = np.random.default_rng(0)
    if mode == "I;16":
        return Image.fromarray(draw.integers(0, 65536, (height, width), dtype=np.uint16))
    shape = (height, width, BANDS[mode]) if BANDS[mode] else (height, width)
    values = draw.integers(0, 256, shape, dtype=np.uint8)
    if mode in ("1", "P"):
        return Image.fromarray(values).convert(mode)
    return Image.fromarray(values, mode) if mode in ("CMYK", "LA") else Image.fromarray(values)


def png_of_16_bits(values: np.ndarray) -> bytes:
    """uint16 RGB (height, width, 3) as a PNG file, which Pillow reads but can't write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width, _ = values.shape
    header = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


class _Forbidden:
    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"read {name} of images that are none of its business")

    def __len__(self) -> int:
        raise AssertionError("counted images that are none of its business")

    def __getitem__(self, key: object) -> Any:
        raise AssertionError("read images that are none of its business")


def forbidden() -> Any:
    """Images that must not be looked at: whatever is done with them fails."""
    return _Forbidden()


def smooth_pictures(count: int, size: int = 16, seed: int = 0) -> np.ndarray:
    """(count, 3, size, size) uint8, smooth."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 4, 4, 3), dtype=np.uint8)
    large = [np.asarray(Image.fromarray(image).resize((size, size), Image.Resampling.BICUBIC)) for image in coarse]
    return np.stack(large).transpose(0, 3, 1, 2).copy()


def data_of(train: int = 40, validation: int = 10, test: int = 10, size: int = 16) -> Data:
    return Data(
        smooth_pictures(train, size, 1),
        smooth_pictures(validation, size, 2),
        smooth_pictures(test, size, 3),
        label="made up",
    )


def waves_of(count: int, side: int) -> Data:
    """Images of fast falling variances around grey, as photographs have them."""
    draw = np.random.default_rng(0)
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(side), np.fft.fftfreq(side))) + 0.5 / side
    waves = np.fft.fft2(draw.standard_normal((count, 3, side, side))) / frequencies**1.5
    pictures = np.fft.ifft2(waves).real
    pictures = 0.5 + 0.18 * pictures / pictures.std()
    images = (pictures.clip(0, 1) * 255).round().astype(np.uint8)
    return Data(images[: count - 200], images[count - 200 : count - 100], images[count - 100 :], "waves")
