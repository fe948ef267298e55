"""Pictures as files: what is written, and what the format can't hold of them."""

import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.core import deep, pictures
from bench.core.errors import SpecError, shorten
from bench.core.pictures import SUFFIXES, Picture, each, eight_bits, kept
from bench.core.words import counted

# Pillow's names of formats, and what it is told for each.
FORMATS_OF_16_BITS = ("PNG", "TIFF", "JPEG2000", "PPM")
FORMATS_OF_ALPHA = ("PNG", "TIFF", "WEBP", "AVIF", "JPEG2000", "GIF", "TGA", "QOI", "SGI")
FORMATS_OF_COLOUR = ("WEBP", "AVIF", "QOI")  # they store grey as RGB
FORMATS_OF_STACKS = ("TIFF", "GIF", "PNG", "WEBP", "AVIF")
LITTLE_LOSS: dict[str, dict[str, Any]] = {
    "JPEG": {"quality": 95, "subsampling": 0},
    "MPO": {"quality": 95, "subsampling": 0},
    "WEBP": {"lossless": True, "exact": True},
    "AVIF": {"quality": 95, "subsampling": "4:4:4"},
}
SAID = {
    "icc_profile": "the colour profile",
    "exif": "EXIF",
    "dpi": "the resolution",
    "duration": "the pages' durations",
}


def format_of(suffix: str) -> str:
    """Pillow's name of the format of a suffix such as `.png`. Raises SpecError where Pillow can't write it."""
    if not writable(suffix):
        raise SpecError(f"no picture can be written as {shorten(suffix)}; use .png, .jpg, .tif or .webp")
    return Image.registered_extensions()[suffix.lower()]


def writable(suffix: str) -> bool:
    """Whether a picture can be written with a suffix such as `.png`."""
    return suffix.lower() in SUFFIXES and Image.registered_extensions().get(suffix.lower(), "") in Image.SAVE


def encode(pages: Sequence[Picture], suffix: str) -> bytes:
    """The bytes of a file of one picture or several. Raises SpecError where the format can't hold them.

    What it holds in part is written as near as can be: 16 bits become 8, transparency is laid on white.
    """
    name = format_of(suffix)
    if len(pages) > 1 and name not in FORMATS_OF_STACKS:
        raise SpecError(
            f"{counted(len(pages), 'page')} can't be written as {shorten(suffix)}, which holds one: use .tif"
        )
    if name in deep.FORMATS and any(page.deep is not None for page in pages):
        tags = [{**kept(page.image), "exif": _exif(page)} for page in pages]
        return deep.encode([page.pixels() for page in pages], name, _encoded(pages[:1], name, suffix), tags)
    return _encoded(pages, name, suffix)


def losses(pages: Sequence[Picture], path: Path) -> list[str]:
    """What the file that they were written to doesn't hold of them, in words; read from that file."""
    stored = [page for _, page in each(path, whole=True)]
    found = []
    if any(before.bits > after.bits for before, after in zip(pages, stored, strict=False)):
        found.append("16 bits a value")
    if any(before.transparent and not after.transparent for before, after in zip(pages, stored, strict=False)):
        found.append("transparency (laid on white)")
    before, after = (pages[0].image.info, stored[0].image.info)
    found += [what for key, what in SAID.items() if before.get(key) and not after.get(key)]
    found += [f"{counted(len(pages) - len(stored), 'page')}"] if len(stored) < len(pages) else []
    error = [_error(*pair) for pair in zip(pages, stored, strict=False)]
    if any(mse > 0 for mse in error):
        found.append(
            f"every value: what is stored has {-10 * np.log10(np.mean(error)):.1f} dB against what was computed"
        )
    return found


def _encoded(pages: Sequence[Picture], name: str, suffix: str) -> bytes:
    """The bytes as Pillow writes them, in the first way that it takes."""
    fault: Exception | None = None
    for images in zip(*(_ways(page, name) for page in pages), strict=False):
        content = io.BytesIO()
        several = {"save_all": True, "append_images": images[1:]} if len(images) > 1 else {}
        said = kept(images[0])
        if len(pages) > 1 and said.get("duration"):
            said["duration"] = [page.image.info.get("duration", 0) for page in pages]
        try:
            images[0].save(content, format=name, **LITTLE_LOSS.get(name, {}), **several, **said)
            return content.getvalue()
        except (OSError, ValueError, KeyError) as error:
            fault = fault or error
    raise SpecError(f"no picture like this can be written as {shorten(suffix)}: {fault}; use .png") from None


def _ways(picture: Picture, name: str) -> Iterator[Image.Image]:
    """The picture as images that a format may take, the nearest first."""
    image = picture.image
    if image.mode == pictures.GREY_16 and name not in FORMATS_OF_16_BITS:
        image = eight_bits(image)
    white = picture.on_white().convert("L" if picture.grey else "RGB")
    if picture.transparent:
        ways = [image, image.convert("RGBA")] if name in FORMATS_OF_ALPHA else []
        ways = [*(ways[1:] if name == "GIF" else ways), white]  # of grey with alpha, a GIF would keep the grey alone
    else:
        ways = [image]
    if name in FORMATS_OF_COLOUR:
        ways = [way.convert("RGBA" if "A" in way.getbands() else "RGB") for way in ways]
    for way in (*ways, white.convert("RGB")):
        way.info = dict(picture.image.info)
        yield way


def _exif(page: Picture) -> dict[int, Any]:
    exif = Image.Exif()
    exif.load(page.image.info.get("exif", b""))
    return dict(exif)


def _error(before: Picture, after: Picture) -> float:
    """The mean squared error of what was stored, 0 where it is the nearest that its bits allow."""
    wanted = before.values()
    if before.transparent and not after.transparent:
        wanted = (before.rgb().astype(np.float32) / 255).transpose(2, 0, 1)
    found = after.values()
    half_a_step = 0.501 / (2**after.bits - 1)
    difference = np.abs(wanted - found)
    return float(np.square(difference.astype(np.float64)).mean()) if difference.max() > half_a_step else 0.0
