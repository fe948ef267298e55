"""Pictures and their files: all that knows Pillow, its modes and its formats."""

import io
import struct
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError, features

from bench.core import deep
from bench.core.depth import Depth
from bench.core.errors import DataError

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
DEEP = 16  # bits

# What Pillow's decoders raise on damaged files.
DAMAGE = (OSError, ValueError, SyntaxError, EOFError, struct.error, IndexError, Image.DecompressionBombError)

CODECS = {".avif": "avif", ".avifs": "avif", ".webp": "webp"}  # that Pillow may be built without
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

# Pillow warns of what it reads all the same; of what it doesn't read, a DataError tells.
warnings.filterwarnings("ignore", module=r"PIL\.")
warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)

ORIENTATION = 274  # of EXIF
DESCRIBING = (270, 271, 272, 305, 306, 315, 33432)  # TIFF's tags: description, camera, software, date, author, rights
PARTS_OF_EXIF = (34665, 34853)  # the camera's settings, and the place
KEPT = ("icc_profile", "exif", "dpi", "duration", "loop")  # of Pillow's `info`: what a file says beside its pixels
PROFILE_SPACE = slice(16, 20)  # where a colour profile names its space


@dataclass(frozen=True)
class Picture:
    """A picture: grey or RGB of 8 or 16 bits, with or without alpha.

    image: in Pillow's mode L, LA, RGB, RGBA or I;16.
    conversions: what turns the picture as it was stored into 8-bit RGB, in words: "converted from grey to RGB".
    rescaled: whether its values were brought to the full range of 16 bits, or inverted.
    deep: uint16 (height, width, bands) where the file has 16 bits a value and `image` holds 8 of them.
    """

    image: Image.Image
    conversions: tuple[str, ...] = ()
    rescaled: bool = False
    deep: np.ndarray | None = field(default=None, compare=False)

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
        scaled = (f"scaled from {depth.narrowed} to 8 bits",) if depth.narrowed else ()
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
        image, done = self.on_white(), list(self.conversions)
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
        image = self.on_white().resize((width, height), Image.Resampling.BICUBIC)
        return np.asarray(image), np.asarray(image.convert("L"))

    def rgb(self) -> np.ndarray:
        """The whole picture as uint8 RGB (height, width, 3), transparency laid on white."""
        return np.asarray(self.on_white())

    @property
    def bits(self) -> int:
        """How many bits a value has, 8 or 16."""
        return 16 if self.image.mode == GREY_16 or self.deep is not None else 8

    @property
    def transparent(self) -> bool:
        """Whether it has alpha."""
        return "A" in self.image.getbands()

    def pixels(self) -> np.ndarray:
        """All it holds, alpha last: uint8 or uint16 (height, width, bands)."""
        pixels = np.asarray(self.image) if self.deep is None else self.deep
        return pixels if pixels.ndim == 3 else pixels[..., None]

    def values(self) -> np.ndarray:
        """The values without alpha, float32 in [0, 1]: (1, height, width) for grey, (3, height, width) for RGB."""
        pixels = self.pixels()
        scaled = pixels[..., : 1 if self.grey else 3].astype(np.float32) / np.iinfo(pixels.dtype).max
        return scaled.transpose(2, 0, 1)

    def with_values(self, values: np.ndarray) -> "Picture":
        """The picture with other values, shaped as those of `values()`; bits, alpha, colour profile, EXIF stay."""
        before = self.pixels()
        pixels = (values * np.iinfo(before.dtype).max).round().astype(before.dtype).transpose(1, 2, 0)
        pixels = np.ascontiguousarray(np.concatenate([pixels, before[..., pixels.shape[2] :]], axis=2))
        eight = pixels if self.deep is None else np.rint(pixels / 257).astype(np.uint8)
        image = Image.fromarray(eight[..., 0] if eight.shape[2] == 1 else eight)
        image.info.update(kept(self.image))
        return replace(Picture.of(image), deep=None if self.deep is None else pixels)

    def on_white(self) -> Image.Image:
        image = eight_bits(self.image) if self.image.mode == GREY_16 else self.image
        if self.transparent:
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


def each(
    path: Path, white: float | None = None, pages: Sequence[int] | None = None, whole: bool = False
) -> Iterator[tuple[int, Picture]]:
    """The pictures in a file with their page numbers, previews and masks left out. Raises DataError.

    white: as for `read`. pages: the numbers wanted, in ascending order; None takes all.
    whole: whether to keep 16 bits of colour, and EXIF that only TIFF has, to write them again.
    """
    with _opened(path) as file:
        count = getattr(file, "n_frames", 1) if file.format in STACKS else 1
        for page in range(count) if pages is None else pages:
            picture = _page(file, page, white, path if whole else None)
            kind = getattr(file, "tag_v2", {}).get(PAGE_KIND, 0)
            if pages is not None or page == 0 or not kind & PREVIEW_OR_MASK:
                yield page, picture


def frames(path: Path) -> int:
    """How many pictures a file holds, with previews, masks and other views. Raises DataError."""
    with _opened(path) as file:
        return int(getattr(file, "n_frames", 1))


def kept(image: Image.Image) -> dict[str, Any]:
    """What a picture's file says beside its pixels, and is written again; without a profile of another colour space."""
    found = {key: image.info[key] for key in KEPT if image.info.get(key)}
    space = b"GRAY" if image.mode in (*GREY, GREY_16) else b"RGB "
    if found.get("icc_profile", b"")[PROFILE_SPACE] not in (b"", space):
        del found["icc_profile"]
    return found


def _page(file: Image.Image, page: int, white: float | None, whole: Path | None = None) -> Picture:
    """One picture of an open file. whole: the file's path, where all is kept that Pillow leaves out."""
    file.seek(page)
    depth = Depth.of(file, white)
    orientation = file.getexif().get(ORIENTATION, 1) if whole else 1
    exif = _exif_of_tiff(file) if whole and file.format == "TIFF" else b""
    # Pixels are read no later than here, so a truncated file is noticed inside `_opened`.
    picture = Picture.of(ImageOps.exif_transpose(file), depth)
    if exif:
        picture.image.info["exif"] = exif
    if not whole or depth.narrowed != DEEP:
        return picture
    bands = len(picture.image.getbands())
    return replace(picture, deep=deep.decode(whole, file.format or "", page, bands, orientation))


def _exif_of_tiff(file: Image.Image) -> bytes:
    """What a TIFF says of how a picture came about, as EXIF: its other tags describe the file."""
    stored, found = file.getexif(), Image.Exif()
    found.update({tag: stored[tag] for tag in DESCRIBING if tag in stored})
    for part in PARTS_OF_EXIF:
        found.get_ifd(part).update(stored.get_ifd(part))
    return found.tobytes() if len(found) else b""


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
    if path.is_dir():
        return "not a picture that can be read (it is a folder)"
    with path.open("rb") as file:
        start = file.read(4)
    if start in TIFF_STARTS and (isinstance(error, UnidentifiedImageError) or "decoder error" in reason):
        return "a TIFF of a kind that Pillow can't read here"
    if not isinstance(error, UnidentifiedImageError):
        return f"not a picture that can be read ({reason})"
    return "not a picture that can be read" if start else "an empty file"


def side_by_side(captioned: Mapping[str, Picture], smallest: int = 192) -> Picture:
    """Pictures of one size beside each other on white, each under its caption.

    smallest: width in pixels that each is at least enlarged to, by a whole factor, so that pixels stay as they are.
    """
    return _sheet(captioned, -(-smallest // next(iter(captioned.values())).width), across=True)


def one_below_another(captioned: Mapping[str, Picture], factor: int) -> Picture:
    """Pictures in a column on white, each enlarged by a whole factor under its caption."""
    return _sheet(captioned, factor, across=False)


def _sheet(captioned: Mapping[str, Picture], factor: int, across: bool, gap: int = 8) -> Picture:
    images = [picture.on_white() for picture in captioned.values()]
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


def eight_bits(image: Image.Image) -> Image.Image:
    """An image of mode I;16 as L."""
    return Image.fromarray(np.rint(np.asarray(image) / 257).astype(np.uint8))
