"""Which value of a picture is white: read from its file, or named by the user; never guessed from its pixels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

FULL = 65535
LEVELS = tuple(2**bits - 1 for bits in (8, 10, 12, 14))  # whites of cameras that store their values in 16 bits

# Numbers of TIFF tags.
BITS, PHOTOMETRIC, LARGEST, LARGEST_OF_ANY_TYPE = 258, 262, 281, 341
MIN_IS_WHITE = 0
HEAD = 4096  # bytes of a file before which its depth is told
HIGH_BITDEPTH, TWELVE_BIT = 0x40, 0x20  # of AVIF's configuration box
START_AND_SIZE, DEPTH_OF_FIRST = b"\xff\x4f\xff\x51", 42  # JPEG 2000's markers, and the byte after their start


@dataclass(frozen=True)
class Depth:
    """What a file says about its values.

    white: the value of white; None where the file doesn't say.
    inverted: whether 0 is white instead, in grey of more than 8 bits; Pillow inverts 8 bits itself.
    narrowed: how many bits a value has in a file of colour that Pillow opens as 8; 0 where it is no more.
    named: whether white was named by the user, so that larger values are an error.
    """

    white: float | None = None
    inverted: bool = False
    narrowed: int = 0
    named: bool = False

    @classmethod
    def of(cls, file: Any, white: float | None = None) -> "Depth":
        """The depth of an image that Pillow has opened but not loaded. white: the value named by the user."""
        tags = getattr(file, "tag_v2", {})
        inverted = tags.get(PHOTOMETRIC) == MIN_IS_WHITE
        return cls(white or _white(tags), inverted, _narrowed(file), named=white is not None)

    def full_range(self, values: np.ndarray) -> tuple[np.ndarray, tuple[str, ...]]:
        """Grey values as uint16 with white at 65535, and notes. Raises ValueError where their range is unknown."""
        low, high = values.min(), values.max()
        white = self.white if self.named or (self.white and high <= self.white) else None
        known = white or (None if values.dtype.kind == "f" else FULL)
        if known is None or low < 0 or high > known:
            found = f"{values.dtype} values from {low} to {high}"
            if self.named:
                raise ValueError(f"{found} do not lie between 0 and the white that is set, {self.white:g}")
            raise ValueError(
                f"{found} have no known range; save the picture with 8 or 16 bits per value, "
                "or set `white` of the folder to the value of white"
            )
        scaled = values if known == FULL else np.rint(values.astype(np.float64) * (FULL / known))
        notes = (_scaled(known), *(() if white else _narrow(float(high))))
        return (FULL - scaled if self.inverted else scaled).astype(np.uint16), notes


def _white(tags: Mapping[int, Any]) -> float | None:
    """The white of a TIFF file. Some programs store the largest value of the picture there, which says nothing."""
    bits = tags.get(BITS, (8,))[0]
    if 8 < bits < 16:
        return float(2**bits - 1)
    for tag in (LARGEST, LARGEST_OF_ANY_TYPE):
        value = tags.get(tag)
        largest = value[0] if isinstance(value, tuple) and value else value
        if largest in (1, *LEVELS, FULL) and (bits > 16 or largest != 1):
            return float(largest)
    return None


def _narrowed(file: Any) -> int:
    """How many bits a value has in a file of colour that Pillow opens as 8; 0 where it is no more."""
    for tile in getattr(file, "tile", ()):
        if ";16" in str(tile[3]):
            return 16
        largest = tile[3][-1] if tile[0].startswith("ppm") else 0
        if isinstance(largest, int) and largest > 255:
            return largest.bit_length()
    if file.format not in ("AVIF", "JPEG2000") or file.mode == "I;16":
        return 0
    with open(file.filename, "rb") as opened:  # Pillow may have closed its own
        head = opened.read(HEAD)
    bits = _bits_of_avif(head) if file.format == "AVIF" else _bits_of_jpeg2000(head)
    return bits if bits > 8 else 0


def _bits_of_avif(head: bytes) -> int:
    """By its configuration box (AV1 in ISOBMFF, section 2.3)."""
    box = head.find(b"av1C")
    flags = head[box + 6] if 0 <= box < len(head) - 6 else 0
    return 8 if not flags & HIGH_BITDEPTH else 12 if flags & TWELVE_BIT else 10


def _bits_of_jpeg2000(head: bytes) -> int:
    """By the marker of the picture's size (ISO/IEC 15444-1, A.5.1)."""
    start = head.find(START_AND_SIZE)
    return (head[start + DEPTH_OF_FIRST] & 0x7F) + 1 if 0 <= start < len(head) - DEPTH_OF_FIRST else 8


def _scaled(white: float) -> str:
    bits = np.log2(white + 1)
    return f"scaled from {bits:.0f} to 8 bits" if bits > 8 and bits == round(bits) else f"scaled from 0 to {white:g}"


def _narrow(high: float) -> tuple[str, ...]:
    """A note where no value needs all of the 16 bits."""
    level = next((level for level in LEVELS if 0 < high <= level), None)
    return (f"with no value of 16 bits above {level} (set `white: {level}` if that is white)",) if level else ()
