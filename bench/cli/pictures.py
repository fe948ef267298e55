"""Pictures for the command line: the levels of a noise side by side; pictures encoded by the ending of their name."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

from bench.core.errors import DataError, FieldError, SpecError, shorten
from bench.core.images import contact_sheet, to_float, to_uint8
from bench.core.lazy import Lazy, torch
from bench.datasets import datasets
from bench.noises import Noise, noises
from bench.training.score import scoring_draw

figure = Lazy("matplotlib.figure")

SHOWN = 6  # test images across
DEEP = ("PNG", "TIFF", "JPEG2000")  # formats that hold 16 bits
LITTLE_LOSS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}
FACTORS = (0.25, 0.5, 1, 2, 4)  # of a noise's default level, where it has no published severities


def variants(noise: Noise) -> list[Noise]:
    """A noise at several levels, weakest first as its level key orders them; alone if it has no such key."""
    if not noise.level:
        return [noise]
    default = getattr(noise, noise.level)
    values = noise.severities or [type(default)(default * factor) for factor in FACTORS]
    found = []
    for value in values:
        try:
            found.append(noises.parse({noise.name: {noise.level: value}}))
        except FieldError:  # this multiple of the default lies outside the key's bounds
            continue
    return found


def levels(noise: Noise, ending: str) -> bytes:
    """A picture: original test images of the bundled photographs, and below them the noise at its levels."""
    images = torch.from_numpy(datasets.parse({"photos": {"test": SHOWN, "train": 64}}).load().test.copy())
    clean = to_float(images)
    shown = variants(noise)
    batches = [
        to_uint8(variant.apply(clean, scoring_draw(clean.shape, variant, torch.arange(len(images)))))
        for variant in shown
    ]
    rows = [images, *batches]
    sheet = figure.Figure(figsize=(8, 1.25 * len(rows) + 0.2), layout="constrained")
    for axes, row, label in zip(
        sheet.subplots(len(rows), 1, squeeze=False)[:, 0], rows, ["original", *(v.label() for v in shown)], strict=True
    ):
        axes.imshow(contact_sheet([row.numpy()]), interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(label, fontsize=9, loc="left")
    content = io.BytesIO()
    try:
        sheet.savefig(content, format=ending, dpi=150)
    except ValueError:
        raise SpecError(f"no picture can be written as {shorten(ending)}; use png, svg or pdf") from None
    return content.getvalue()


def opened(path: Path) -> Image.Image:
    """The first picture in a file, turned upright. Raises DataError."""
    try:
        with Image.open(path) as file:
            return ImageOps.exif_transpose(file)
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path}: not a picture that can be read: {error}") from None


def format_of(ending: str) -> str:
    """Pillow's name for a file ending such as `.png`. Raises SpecError for one it can't write."""
    name = Image.registered_extensions().get(ending.lower(), "")
    if name not in Image.SAVE:
        raise SpecError(f"no picture can be written as {shorten(ending)}; use .png, .jpg, .tif or .webp")
    return name


def encode(picture: Image.Image, ending: str) -> bytes:
    """A picture in the format of a file ending; 16 bits become 8 where it can't hold them. Raises SpecError."""
    name = format_of(ending)
    if picture.mode == "I;16" and name not in DEEP:
        picture = Image.fromarray((np.asarray(picture) / 257).round().astype(np.uint8))
    if name == "JPEG" and picture.mode not in ("L", "RGB"):
        picture = picture.convert("RGB")
    content = io.BytesIO()
    try:
        picture.save(content, format=name, **LITTLE_LOSS.get(name, {}))
    except (OSError, ValueError) as error:
        raise SpecError(f"no picture like this can be written as {shorten(ending)}: {error}; use .png") from None
    return content.getvalue()
