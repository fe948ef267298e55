"""Pictures through files and back: nothing lost, or said. The pixels that Pillow reads are the oracle."""

import struct
import zlib
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image, ImageCms

from bench.core import encoding, pictures
from bench.core.encoding import encode, losses
from bench.core.errors import SpecError
from bench.core.pictures import Picture
from tests.datasets.test_datasets import noise

Image.init()
MODES = [
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I;16",
    "I",
    "F",
]
WRITTEN = [suffix for suffix in pictures.SUFFIXES if encoding.writable(suffix)]
LOSSY = ("JPEG", "MPO", "GIF", "AVIF", "JPEG2000")


def image_of(mode: str, height: int = 6, width: int = 9) -> Image.Image:
    """A smooth picture in one of Pillow's modes, with alpha where the mode has it."""
    ramp = np.linspace(20, 230, height * width).reshape(height, width)
    layers = np.stack([ramp, ramp.T.reshape(height, width), ramp[::-1], np.where(ramp > 100, 255, 0)], -1)
    colour = Image.fromarray(layers.astype(np.uint8))
    if mode in ("I;16", "I"):
        return Image.fromarray((ramp * 257).astype(np.uint16 if mode == "I;16" else np.int32))
    if mode == "LAB":
        return Image.merge("LAB", colour.split()[:3])
    through = {"La": "LA", "RGBa": "RGBA", "PA": "P"}.get(mode)
    return (colour.convert(through) if through else colour.convert("RGB") if "A" not in mode else colour).convert(mode)


@pytest.mark.parametrize("suffix", WRITTEN)
@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in ("F",)])
def test_every_mode_survives_every_format_or_what_is_lost_is_said(mode: str, suffix: str, tmp_path: Path) -> None:
    before = Picture.of(image_of(mode))
    path = tmp_path / f"x{suffix}"
    path.write_bytes(encode([before.with_values(before.values())], suffix))
    lost = " ".join(losses([before], path))
    stored = Image.open(path)
    stored.load()
    wanted = before.on_white() if before.transparent and not stored.has_transparency_data else before.image
    if stored.has_transparency_data:
        alpha = np.asarray(stored.convert("RGBA"))[..., 3]
        wanted_alpha = np.asarray(wanted.convert("RGBA"))[..., 3]
        assert before.transparent
        assert np.abs(alpha.astype(int) - wanted_alpha).max() <= (40 if suffix.startswith(".avif") else 0)
        shown = (alpha > 250) & (wanted_alpha > 250)
    else:
        shown = np.ones((before.height, before.width), bool)
        assert ("transparency" in lost) == before.transparent
    if before.bits == 16 and stored.mode[0] == "I":
        assert np.array_equal(np.asarray(stored), np.asarray(before.image)) and not lost
        return
    assert ("16 bits" in lost) == (before.bits == 16)
    if wanted.mode == "I;16":
        wanted = pictures.eight_bits(wanted)
    difference = np.abs(np.asarray(stored.convert("RGB"), float) - np.asarray(wanted.convert("RGB"), float))[shown]
    exact = encoding.format_of(suffix) not in LOSSY
    assert difference.max() <= (0 if exact else 60), difference.max()
    assert ("against what was computed" in lost) == bool(difference.max())


def profile(space: str) -> bytes:
    if space == "sRGB":
        return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    made = bytearray(profile("sRGB"))
    made[16:20] = b"GRAY"
    return bytes(made)


def sixteen(path: Path, bands: int = 3, said: bool = False) -> np.ndarray:
    """A file with 16 bits a colour, with a colour profile, EXIF and resolution if asked for."""
    values = np.random.default_rng(bands).integers(0, 65536, (6, 9, bands)).astype(np.uint16)
    if path.suffix == ".tif":
        told: dict[str, Any] = {"iccprofile": profile("sRGB"), "resolution": (300, 300), "software": "camera"}
        tifffile.imwrite(
            path,
            values,
            photometric="rgb",
            extrasamples=["unassalpha"] if bands == 4 else None,
            metadata=None,
            **(told if said else {}),
        )
    elif path.suffix == ".jp2":
        path.write_bytes(imagecodecs.jpeg2k_encode(values, level=0))
    else:
        path.write_bytes(imagecodecs.png_encode(values))
        if said:
            exif = Image.Exif()
            exif[271] = "maker"
            path.write_bytes(with_chunks(path.read_bytes(), profile("sRGB"), exif.tobytes()))
    return values


def with_chunks(png: bytes, icc: bytes, exif: bytes) -> bytes:
    """A PNG with chunks for a colour profile, EXIF and 300 dots an inch after its header."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    resolution = struct.pack(">IIB", 11811, 11811, 1)
    added = chunk(b"iCCP", b"icc\0\0" + zlib.compress(icc)) + chunk(b"eXIf", exif.removeprefix(b"Exif\0\0"))
    return png[:33] + added + chunk(b"pHYs", resolution) + png[33:]


def stored_values(path: Path) -> np.ndarray:
    if path.suffix == ".tif":
        return np.asarray(tifffile.imread(path))
    decode = imagecodecs.jpeg2k_decode if path.suffix == ".jp2" else imagecodecs.png_decode
    return np.asarray(decode(path.read_bytes()))


@pytest.mark.parametrize("bands", [3, 4])
@pytest.mark.parametrize("target", [".png", ".tif"])
@pytest.mark.parametrize("source", [".png", ".tif", ".jp2"])
def test_sixteen_bits_of_colour_stay(source: str, target: str, bands: int, tmp_path: Path) -> None:
    path, copy = tmp_path / f"a{source}", tmp_path / f"b{target}"
    values = sixteen(path, bands)
    [(_, before)] = pictures.each(path, whole=True)
    assert before.bits == 16 and before.transparent == (bands == 4)
    copy.write_bytes(encode([before.with_values(before.values())], target))
    assert np.array_equal(stored_values(copy), values)
    assert losses([before], copy) == []
    eight = tmp_path / "c.jpg"
    eight.write_bytes(encode([before], ".jpg"))
    assert "16 bits a value" in losses([before], eight)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_of_colour_keep_what_their_file_says(suffix: str, tmp_path: Path) -> None:
    path, copy = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    sixteen(path, said=True)
    [(_, before)] = pictures.each(path, whole=True)
    copy.write_bytes(encode([before.with_values(before.values())], suffix))
    assert losses([before], copy) == []
    with Image.open(copy) as after:
        assert after.info["icc_profile"] == profile("sRGB")
        assert after.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        exif = dict(after.getexif())
    assert exif[305] == "camera" if suffix == ".tif" else exif[271] == "maker"


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bits_of_colour_are_turned_as_eight_are(suffix: str, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    values = sixteen(path)
    exif = Image.Exif()
    exif[274] = orientation
    if suffix == ".png":
        path.write_bytes(with_chunks(path.read_bytes(), profile("sRGB"), exif.tobytes()))
    else:
        tifffile.imwrite(path, values, photometric="rgb", metadata=None, extratags=[(274, "H", 1, orientation, True)])
    [(_, picture)] = pictures.each(path, whole=True)
    assert picture.deep is not None
    assert np.abs(picture.deep / 257 - np.asarray(picture.image)).max() < 1.01
    assert (orientation > 4) == (picture.height > picture.width)


@pytest.mark.parametrize("suffix", [".tif", ".gif", ".png", ".webp"])
def test_pages_stay_pages(suffix: str, tmp_path: Path) -> None:
    path, copy = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    first, *others = [Image.fromarray(noise(seed, 8, 8)) for seed in range(4)]
    keys: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {}
    first.save(path, save_all=True, append_images=others, duration=[100, 200, 300, 400], **keys)
    pages = [page for _, page in pictures.each(path, whole=True)]
    copy.write_bytes(encode([page.with_values(page.values()) for page in pages], suffix))
    again = [page for _, page in pictures.each(copy, whole=True)]
    assert len(again) == 4 and losses(pages, copy) == []
    for before, after in zip(pages, again, strict=True):
        assert np.array_equal(before.rgb(), after.rgb())
        assert before.image.info.get("duration") == after.image.info.get("duration")


def test_pages_of_sixteen_bits_stay(tmp_path: Path) -> None:
    path, copy = tmp_path / "a.tif", tmp_path / "b.tif"
    values = np.random.default_rng(0).integers(0, 65536, (3, 6, 9, 3)).astype(np.uint16)
    with tifffile.TiffWriter(path) as file:
        for page in values:
            file.write(page, photometric="rgb", metadata=None)
    pages = [page for _, page in pictures.each(path, whole=True)]
    copy.write_bytes(encode(pages, ".tif"))
    with tifffile.TiffFile(copy) as file:
        assert all(np.array_equal(page.asarray(), found) for page, found in zip(file.pages, values, strict=True))
    with pytest.raises(SpecError, match=r"3 pages can't be written as '\.jpg', which holds one: use \.tif"):
        encode(pages, ".jpg")


def test_what_a_tiff_says_of_its_picture_is_written_again(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[271], exif[306], exif[315] = "maker", "2020:01:02 03:04:05", "me"
    Image.fromarray(noise(0, 8, 8, 3)).save(tmp_path / "a.tif", exif=exif)
    [(_, before)] = pictures.each(tmp_path / "a.tif", whole=True)
    for suffix in (".tif", ".jpg", ".png"):
        path = tmp_path / f"b{suffix}"
        path.write_bytes(encode([before.with_values(before.values())], suffix))
        with Image.open(path) as after:
            assert {tag: after.getexif()[tag] for tag in (271, 306, 315)} == {tag: exif[tag] for tag in (271, 306, 315)}


@pytest.mark.parametrize(("suffix", "stays"), [(".png", True), (".tif", True), (".jpg", True), (".webp", False)])
def test_a_grey_profile_is_never_put_on_colour(suffix: str, stays: bool, tmp_path: Path) -> None:
    image = Image.fromarray(noise(0, 8, 8))
    image.info["icc_profile"] = profile("grey")
    path = tmp_path / f"a{suffix}"
    path.write_bytes(encode([Picture.of(image)], suffix))
    with Image.open(path) as stored:
        assert ("icc_profile" in stored.info) == stays == (stored.mode == "L")
    assert ("the colour profile" in losses([Picture.of(image)], path)) != stays


def test_what_a_gif_does_to_colours_is_said(tmp_path: Path) -> None:
    picture = Picture.of(Image.fromarray(noise(0, 64, 64, 3)))
    (tmp_path / "a.gif").write_bytes(encode([picture], ".gif"))
    [said] = losses([picture], tmp_path / "a.gif")
    stored = np.asarray(Image.open(tmp_path / "a.gif").convert("RGB"), float)
    psnr = 10 * np.log10(255**2 / np.square(stored - picture.rgb()).mean())
    assert said == f"every value: what is stored has {psnr:.1f} dB against what was computed"


def test_more_than_8_bits_of_an_avif_are_noticed(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 1024, (32, 32, 3)).astype(np.uint16)
    (tmp_path / "a.avif").write_bytes(imagecodecs.avif_encode(values, level=100, bitspersample=10))
    assert pictures.read(tmp_path / "a.avif").conversions == ("scaled from 10 to 8 bits",)
    (tmp_path / "b.avif").write_bytes(imagecodecs.avif_encode((values // 4).astype(np.uint8), level=100))
    assert pictures.read(tmp_path / "b.avif").conversions == ()
