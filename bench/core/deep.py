"""Colour of 16 bits a value, which Pillow doesn't hold: read and written through imagecodecs and tifffile."""

import io
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.core.lazy import Lazy

imagecodecs = Lazy("imagecodecs")
tifffile = Lazy("tifffile")

CODECS = {"PNG": "png", "JPEG2000": "jpeg2k"}  # Pillow's names of formats and imagecodecs' names of its functions
FORMATS = (*CODECS, "TIFF")
ORIENTATION = 274  # the EXIF tag
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.swapaxes(0, 1),
    6: lambda pixels: np.rot90(pixels, -1),
    7: lambda pixels: np.rot90(pixels.swapaxes(0, 1), 2),
    8: np.rot90,
}
KEPT_CHUNKS = (b"iCCP", b"eXIf", b"pHYs")  # of a PNG: colour profile, EXIF, resolution
SEPARATE_PLANES = 2
DESCRIPTION, SOFTWARE, DATE = 270, 305, 306  # TIFF tags that tifffile has arguments for
TEXTS = (271, 272, 315, 33432)  # maker, model, artist, copyright


def decode(path: Path, format: str, page: int, bands: int, orientation: int) -> np.ndarray | None:
    """uint16 (height, width, bands), turned upright; None where the file can't be read so.

    format: Pillow's name of it. page: its number in the file. orientation: as EXIF counts it, from 1.
    """
    try:
        pixels = _stored(path, format, page)
    except (RuntimeError, ValueError, OSError, tifffile.TiffFileError):  # Pillow has read it, with 8 bits
        return None
    if pixels is None:
        return None
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    if pixels.dtype != np.uint16 or pixels.shape[2] != bands:
        return None
    return np.ascontiguousarray(UPRIGHT[orientation](pixels) if orientation in UPRIGHT else pixels)


def encode(pages: Sequence[np.ndarray], format: str, like: bytes, tags: Sequence[Mapping[str, Any]]) -> bytes:
    """The bytes of a file of 16 bits a value.

    pages: each uint8 or uint16 (height, width, bands); one, but for TIFF. format: Pillow's name of it.
    like: the same picture with 8 bits, as Pillow writes it, for what a PNG says beside its pixels.
    tags: what a TIFF says of each page: Pillow's icc_profile and dpi, and exif by the numbers of its tags.
    """
    if format == "TIFF":
        content = io.BytesIO()
        with tifffile.TiffWriter(content) as file:
            for page, info in zip(pages, tags, strict=True):
                file.write(page.squeeze(2) if page.shape[2] == 1 else page, **_layout(page), **_tags(info))
        return content.getvalue()
    encoded: bytes = getattr(imagecodecs, f"{CODECS[format]}_encode")(pages[0].squeeze())
    if format != "PNG":
        return encoded
    kept = b"".join(chunk for kind, chunk in _chunks(like) if kind in KEPT_CHUNKS)
    (header, first), *others = _chunks(encoded)
    assert header == b"IHDR"
    return encoded[:8] + first + kept + b"".join(chunk for _, chunk in others)


def _stored(path: Path, format: str, page: int) -> np.ndarray | None:
    """The values as they are stored, colours last; None for formats that aren't known here."""
    if format in CODECS:
        return getattr(imagecodecs, f"{CODECS[format]}_decode")(path.read_bytes())
    if format != "TIFF":
        return None
    with tifffile.TiffFile(path) as file:
        stored = file.pages[page]
        pixels: np.ndarray = stored.asarray()
        return np.moveaxis(pixels, 0, -1) if stored.planarconfig == SEPARATE_PLANES and pixels.ndim == 3 else pixels


def _layout(page: np.ndarray) -> dict[str, Any]:
    colour, alpha = page.shape[2] >= 3, page.shape[2] in (2, 4)
    return {
        "photometric": "rgb" if colour else "minisblack",
        "planarconfig": "contig" if page.shape[2] > 1 else None,
        "extrasamples": ["unassalpha"] if alpha else None,
        "metadata": None,
    }


def _tags(info: Mapping[str, Any]) -> dict[str, Any]:
    """The same as arguments of tifffile."""
    exif = info.get("exif", {})
    return {
        "iccprofile": info.get("icc_profile"),
        "resolution": tuple(map(float, info["dpi"])) if info.get("dpi") else None,  # Pillow's are of a type of its own
        "resolutionunit": "INCH" if info.get("dpi") else None,
        "description": exif.get(DESCRIPTION),
        "software": exif.get(SOFTWARE),
        "datetime": exif.get(DATE),
        "extratags": [(tag, "s", 0, exif[tag], True) for tag in TEXTS if tag in exif],
    }


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks of a PNG file: each kind, and the whole chunk."""
    start = 8
    while start < len(png):
        (length,) = struct.unpack_from(">I", png, start)
        end = start + 12 + length
        yield png[start + 4 : start + 8], png[start:end]
        start = end
