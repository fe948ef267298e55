"""Pictures and their files: all that knows Pillow, its modes and its formats."""

import io
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError, features

from bench.core.depth import Depth
from bench.core.errors import DataError, SpecError, shorten

# The same on every machine, so that a folder is the same data set on all; Pillow reads more on some.
SUFFIXES = (
    *(".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".bmp", ".dib", ".webp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".pfm", ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".avif", ".avifs"),
    *(".tga", ".icb", ".vda", ".vst", ".pcx", ".qoi", ".sgi", ".bw", ".rgb", ".rgba"),
)
# Of Pillow's names of formats, those whose files may hold several pictures; in others, further ones are previews.
STACKS = ("TIFF", "GIF", "PNG", "WEBP", "AVIF")
PAGE_KIND, PREVIEW_OR_MASK = 254, 0b101  # TIFF's tag NewSubfileType, and the bits of it that tell no picture

# Pillow's names of modes.
GREY = ("1", "L", "LA", "La")
GREY_16 = "I;16"
OTHER_SPACES = ("CMYK", "YCbCr", "LAB", "HSV")
NAMES = {"1": "black-and-white", "L": "grey", "P": "palette"}
SCALED = "scaled from 16 to 8 bits"

# What Pillow's decoders raise on damaged files.
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, Image.DecompressionBombError)

CODECS = {".avif": "avif", ".avifs": "avif", ".webp": "webp"}  # that Pillow may be built without
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Pillow warns of large pictures, which it reads all the same, and of codecs that it lacks: a DataError tells of those.
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", "image file could not be identified because")

FORMATS_OF_16_BITS = ("PNG", "TIFF", "JPEG2000")
LITTLE_LOSS: dict[str, dict[str, Any]] = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}


@dataclass(frozen=True)
class Picture:
    """A picture: 8-bit grey or RGB, with or without alpha, or 16-bit grey.

    image: in Pillow's mode L, LA, RGB, RGBA or I;16.
    conversions: what turns the picture as it was stored into 8-bit RGB, in words: "converted from grey to RGB".
    rescaled: whether its values were brought to the full range of 16 bits, or inverted.
    """

    image: Image.Image
    conversions: tuple[str, ...] = ()
    rescaled: bool = False

    @classmethod
    def of(cls, image: Image.Image, depth: Depth | None = None) -> "Picture":
        """A Pillow image of any mode.

        depth: what its file says about its values.
        Raises ValueError for values of unknown range and for modes that can't be converted to RGB.
        """
        depth = depth or Depth()
        if image.mode[0] in "IF":
            values, notes = depth.full_range(np.asarray(image))
            grey = Image.fromarray(values)
            grey.info = dict(image.info)
            rescaled = not np.array_equal(values, np.asarray(image))
            return cls(grey, (*notes, "converted from grey to RGB"), rescaled)
        scaled = (SCALED,) if depth.narrowed else ()
        mode = "L" if image.mode in GREY else "RGB"
        if image.has_transparency_data:
            return cls(_converted(image, f"{mode}A"), (*scaled, "with transparency laid on white"))
        converted = () if image.mode == "RGB" else (f"converted from {NAMES.get(image.mode, image.mode)} to RGB",)
        return cls(_converted(image, mode), (*scaled, *converted))

    @classmethod
    def from_array(cls, pixels: np.ndarray) -> "Picture":
        """Pixels as a picture: uint8 RGB (height, width, 3), or uint8 or uint16 grey (height, width)."""
        return cls.of(Image.fromarray(np.ascontiguousarray(pixels)))

    @property
    def width(self) -> int:
        return self.image.width

    @property
    def height(self) -> int:
        return self.image.height

    @property
    def grey(self) -> bool:
        return self.image.mode in (*GREY, GREY_16)

    def square(self, size: int) -> tuple[np.ndarray, tuple[str, ...]]:
        """The central square as uint8 RGB (3, size, size), transparency laid on white; and the conversions made.

        Resizing is antialiased bilinear. Pillow's fixed-point resize is the one that torchvision's Resize applies to
        pictures, and it gives the same values on every processor.
        """
        image, done = self._rgb(), list(self.conversions)
        if image.size != (size, size):
            side = min(image.size)
            if image.width != image.height:
                done.append("cut to the central square")
            if side != size:
                done.append(f"{'reduced' if side > size else 'enlarged'} to {size} pixels")
            image = ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR)
        return np.asarray(image).transpose(2, 0, 1), tuple(done)

    def scaled(self, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Resized, bicubic: uint8 RGB (height, width, 3), and its luminance (height, width)."""
        image = self._rgb().resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(image), np.asarray(image.convert("L"))

    def rgb(self) -> np.ndarray:
        """The whole picture as uint8 RGB (height, width, 3), transparency laid on white."""
        return np.asarray(self._rgb())

    def values(self) -> np.ndarray:
        """The values without alpha, float32 in [0, 1]: (1, height, width) for grey, (3, height, width) for RGB."""
        image = self.image
        pixels = np.asarray(image.convert("L" if self.grey else "RGB") if "A" in image.getbands() else image)
        scaled = pixels.astype(np.float32) / np.iinfo(pixels.dtype).max
        return scaled[None] if self.grey else scaled.transpose(2, 0, 1)

    def with_values(self, values: np.ndarray) -> "Picture":
        """The picture with other values, shaped as those of `values()`; bits, alpha, colour profile, EXIF stay."""
        kind = np.uint16 if self.image.mode == GREY_16 else np.uint8
        pixels = (values * np.iinfo(kind).max).round().astype(kind)
        image = Image.fromarray(pixels[0] if self.grey else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
        if "A" in self.image.getbands():
            image.putalpha(self.image.getchannel("A"))
        image.info.update(_kept(self.image))
        return Picture.of(image)

    def _rgb(self) -> Image.Image:
        image = _eight_bits(self.image) if self.image.mode == GREY_16 else self.image
        if "A" in image.getbands():
            layers = image.convert("RGBA")
            image = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)
        return image if image.mode == "RGB" else image.convert("RGB")


def read(path: Path, page: int = 0, white: float | None = None) -> Picture:
    """A picture in a file, turned upright. Raises DataError where there is none that can be read.

    page: its number in a file of several, from 0.
    white: the value of white in grey of more than 8 bits; None takes what the file says.
    """
    with _opened(path) as file:
        return _page(file, page, white)


def each(path: Path, white: float | None = None, pages: Sequence[int] | None = None) -> Iterator[tuple[int, Picture]]:
    """The pictures in a file with their page numbers, previews and masks left out. Raises DataError.

    white: as for `read`. pages: the numbers wanted, in ascending order; None takes all.
    """
    with _opened(path) as file:
        count = getattr(file, "n_frames", 1) if file.format in STACKS else 1
        for page in range(count) if pages is None else pages:
            picture = _page(file, page, white)
            kind = getattr(file, "tag_v2", {}).get(PAGE_KIND, 0)
            if pages is not None or page == 0 or not kind & PREVIEW_OR_MASK:
                yield page, picture


def _page(file: Image.Image, page: int, white: float | None) -> Picture:
    file.seek(page)
    depth = Depth.of(file, white)
    # Pixels are read no later than here, so a truncated file is noticed inside `_opened`.
    return Picture.of(ImageOps.exif_transpose(file), depth)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """The file as Pillow opens it; what goes wrong inside this block becomes a DataError."""
    try:
        with Image.open(path) as file:
            yield file
    except FileNotFoundError:
        raise DataError(f"{path}: there is no such file") from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise DataError(
            f"{path}: has more than {most:,} pixels, the limit against files made to fill the memory; cut it"
        ) from None
    except DAMAGE as error:
        raise DataError(f"{path}: {_fault(path, error)}") from None


def _fault(path: Path, error: Exception) -> str:
    """What is wrong with a file that can't be read: a sound one that this Pillow can't decode is not called damaged."""
    reason = getattr(error, "strerror", None) or str(error)
    codec = CODECS.get(path.suffix.lower())
    if "not available" in reason or (codec and not features.check(codec)):
        return f"Pillow has no decoder for it here ({codec or reason}); convert it to PNG"
    if not isinstance(error, UnidentifiedImageError):
        return f"not a picture that can be read ({reason})"
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        return "an empty file"
    return "a TIFF of a kind that Pillow can't read" if start in TIFF_STARTS else "not a picture that can be read"


def format_of(suffix: str) -> str:
    """Pillow's name of the format of a suffix such as `.png`. Raises SpecError where Pillow can't write it."""
    if not writable(suffix):
        raise SpecError(f"no picture can be written as {shorten(suffix)}; use .png, .jpg, .tif or .webp")
    return Image.registered_extensions()[suffix.lower()]


def writable(suffix: str) -> bool:
    """Whether a picture can be written with a suffix such as `.png`."""
    return Image.registered_extensions().get(suffix.lower(), "") in Image.SAVE


def encode(picture: Picture, suffix: str) -> bytes:
    """The bytes of a picture file; 16 bits become 8 where the format can't hold them. Raises SpecError."""
    name, image = format_of(suffix), picture.image
    if image.mode == GREY_16 and name not in FORMATS_OF_16_BITS:
        image = _eight_bits(image)
    if name == "JPEG" and image.mode not in ("L", "RGB"):
        image = picture._rgb()  # transparency on white, as in a data set
    content = io.BytesIO()
    try:
        image.save(content, format=name, **LITTLE_LOSS.get(name, {}), **_kept(picture.image))
    except (OSError, ValueError) as error:
        raise SpecError(f"no picture like this can be written as {shorten(suffix)}: {error}; use .png") from None
    return content.getvalue()


def side_by_side(captioned: Mapping[str, Picture], smallest: int = 192) -> Picture:
    """Pictures of one size beside each other on white, each under its caption.

    smallest: width in pixels that each is at least enlarged to, by a whole factor, so that pixels stay as they are.
    """
    return _sheet(captioned, -(-smallest // next(iter(captioned.values())).width), across=True)


def one_below_another(captioned: Mapping[str, Picture], factor: int) -> Picture:
    """Pictures in a column on white, each enlarged by a whole factor under its caption."""
    return _sheet(captioned, factor, across=False)


def _sheet(captioned: Mapping[str, Picture], factor: int, across: bool, gap: int = 8) -> Picture:
    images = [picture._rgb() for picture in captioned.values()]
    images = [image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST) for image in images]
    width = max(image.width for image in images)
    font = ImageFont.load_default(max(12, width // (24 if across else 48)))
    width = max(width, *(int(font.getlength(caption)) + 1 for caption in captioned)) if not across else width
    top = int(font.size * 1.5) if isinstance(font, ImageFont.FreeTypeFont) else 18
    places = [(place * (width + gap), 0) for place in range(len(images))]
    if not across:
        heights = [image.height + top + gap for image in images]
        places = [(0, sum(heights[:place])) for place in range(len(images))]
    right, bottom = places[-1][0] + width, places[-1][1] + images[-1].height + top
    sheet = Image.new("RGB", (right, bottom), "white")
    draw = ImageDraw.Draw(sheet)
    for (left, upper), caption, image in zip(places, captioned, images, strict=True):
        sheet.paste(image, (left, upper + top))
        draw.text((left, upper + top // 8), caption, "black", font)
    return Picture.of(sheet)


def through_jpeg(pixels: np.ndarray, quality: int) -> np.ndarray:
    """uint8 RGB (height, width, 3) compressed as JPEG and decompressed. quality: from 1 (worst) to 100."""
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content))


def _converted(image: Image.Image, mode: str) -> Image.Image:
    """The image in another mode, without its colour profile where that describes another colour space."""
    if image.mode == mode:
        return image
    converted = image.convert(mode)
    if image.mode in OTHER_SPACES:
        converted.info.pop("icc_profile", None)
    return converted


def _kept(image: Image.Image) -> dict[str, Any]:
    """What a picture's file says beside its pixels, and is written again: colour profile, EXIF and resolution."""
    return {key: image.info[key] for key in ("icc_profile", "exif", "dpi") if image.info.get(key)}


def _eight_bits(image: Image.Image) -> Image.Image:
    """An image of mode I;16 as L."""
    return Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
