"""Made-up pictures of every kind."""

import struct
import zlib

import numpy as np
from PIL import Image

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
