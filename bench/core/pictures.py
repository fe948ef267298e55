"""Picture files as square RGB arrays, and what had to be done to them."""

import struct
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from bench.core.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".gif", ".tif", ".tiff", ".ppm", ".pgm")

# What Pillow's decoders raise on damaged files.
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, Image.DecompressionBombError)


def read(path: Path) -> tuple[Image.Image, list[str]]:
    """A picture file as 8-bit RGB, upright, and the conversions that took.

    Grey and palette pictures become RGB, transparent ones are laid on white, 16 bits are scaled to 8.
    Raises DataError naming a file that is absent, damaged or of unknown range.
    """
    try:
        with Image.open(path) as opened:
            deep = _deep(opened)
            upright = ImageOps.exif_transpose(_narrowed(opened) if deep else opened)
            # Pixels are read no later than here, so a file cut short shows up inside this block.
            image, done = to_rgb(upright)
            return image, [*(["scaled from 16 to 8 bits"] if deep else []), *done]
    except UnidentifiedImageError:
        raise DataError(f"{path}: not a picture that can be read; replace or delete it") from None
    except DAMAGE as error:
        raise DataError(f"{path}: damaged or unreadable picture ({error}); replace or delete it") from None


def to_rgb(image: Image.Image) -> tuple[Image.Image, list[str]]:
    """An 8-bit picture of any mode as RGB, and the conversion that took, if any."""
    if image.mode == "RGB" and "transparency" not in image.info:
        image.load()
        return image, []
    if image.has_transparency_data:
        layers = image.convert("RGBA")
        white = Image.new("RGBA", layers.size, "white")
        return Image.alpha_composite(white, layers).convert("RGB"), ["with transparency laid on white"]
    kinds = {"1": "black-and-white", "L": "grey", "P": "palette"}
    return image.convert("RGB"), [f"converted from {kinds.get(image.mode, image.mode)} to RGB"]


def square(image: Image.Image, size: int) -> tuple[np.ndarray, list[str]]:
    """An RGB picture as uint8 (3, size, size), and what that took.

    Others are cut to the central square and resized, antialiased bilinear. Pillow's fixed-point resize is the one that
    torchvision's Resize applies to pictures, and gives the same values on every processor.
    """
    done = []
    if image.size != (size, size):
        side = min(image.size)
        if image.width != image.height:
            done.append("cut to their central square")
        if side != size:
            done.append(f"{'reduced' if side > size else 'enlarged'} to {size} pixels")
        image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).transpose(2, 0, 1), done


def _deep(image: Image.Image) -> bool:
    # Colour of 16 bits has an 8-bit mode here, and only the decoder's arguments tell.
    return image.mode[0] in "IF" or any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _narrowed(image: Image.Image) -> Image.Image:
    """A picture of 16 bits per value in 8. Raises ValueError for pixels of unknown range."""
    if image.mode[0] not in "IF":
        return image  # Pillow's decoder keeps the upper byte of each value, at most one level below the nearest
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise ValueError("the range of its floating-point or 32-bit pixels is unknown: store it in 8 or 16 bits")
    return Image.fromarray(np.rint(values / 257).astype(np.uint8))
