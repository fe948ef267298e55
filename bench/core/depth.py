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


@dataclass(frozen=True)
class Depth:
    """What a file says about its values.

    white: the value of white; None where the file doesn't say.
    inverted: whether 0 is white instead, in grey of more than 8 bits; Pillow inverts 8 bits itself.
    narrowed: whether the file has colour of more than 8 bits, which Pillow opens as 8.
    named: whether white was named by the user, so that larger values are an error.
    """

    white: float | None = None
    inverted: bool = False
    narrowed: bool = False
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


def _narrowed(file: Any) -> bool:
    """Whether the arguments of Pillow's decoder name values of 16 bits, or a largest value above 255 (PPM)."""
    for tile in getattr(file, "tile", ()):
        largest = tile[3][-1] if tile[0].startswith("ppm") else 0
        if ";16" in str(tile[3]) or largest > 255:
            return True
    return False


def _scaled(white: float) -> str:
    bits = np.log2(white + 1)
    return f"scaled from {bits:.0f} to 8 bits" if bits > 8 and bits == round(bits) else f"scaled from 0 to {white:g}"


def _narrow(high: float) -> tuple[str, ...]:
    """A note where no value needs all of the 16 bits."""
    level = next((level for level in LEVELS if 0 < high <= level), None)
    return (f"with no value of 16 bits above {level} (set `white: {level}` if that is white)",) if level else ()
