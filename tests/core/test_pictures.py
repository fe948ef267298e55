"""Picture files of every kind: read the same way for data sets and for denoising, and written without loss."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms, TiffImagePlugin
from torchvision.transforms.v2 import functional

from bench.core import pictures
from bench.core.encoding import encode, format_of
from bench.core.errors import DataError, SpecError
from bench.core.pictures import Picture, read
from tests.helpers.images import made_up, png_of_16_bits


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def saved(tmp_path: Path, image: Image.Image, name: str = "a.png") -> Picture:
    image.save(tmp_path / name)
    return read(tmp_path / name)


def converted(tmp_path: Path, image: Image.Image, name: str = "a.png") -> tuple[np.ndarray, list[str]]:
    """What an 8x8 picture is to a data set: RGB (8, 8, 3), and how it became that."""
    pixels, done = saved(tmp_path, image, name).square(8)
    return pixels.transpose(1, 2, 0), list(done)


# --- what a data set takes


def test_grey_palette_and_black_and_white_become_rgb(tmp_path: Path) -> None:
    grey = noise(0, 8, 8)
    pixels, done = converted(tmp_path, Image.fromarray(grey))
    assert np.array_equal(pixels, np.stack([grey] * 3, -1)) and done == ["converted from grey to RGB"]
    palette = Image.fromarray(noise(1, 8, 8, 3)).quantize(16)
    pixels, done = converted(tmp_path, palette)
    assert np.array_equal(pixels, np.asarray(palette.convert("RGB"))) and done == ["converted from palette to RGB"]
    pixels, done = converted(tmp_path, Image.fromarray(grey > 128))
    assert set(np.unique(pixels)) == {0, 255} and done == ["converted from black-and-white to RGB"]


def test_transparency_is_laid_on_white(tmp_path: Path) -> None:
    layers = noise(2, 8, 8, 4)
    layers[0, :, 3], layers[1, :, 3] = 0, 255
    pixels, done = converted(tmp_path, Image.fromarray(layers))
    alpha = layers[..., 3:] / 255.0
    assert np.abs(pixels - (layers[..., :3] * alpha + 255 * (1 - alpha))).max() <= 1
    assert (pixels[0] == 255).all() and np.array_equal(pixels[1], layers[1, :, :3])
    assert done == ["with transparency laid on white"]
    palette = Image.new("P", (8, 8), 0)
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.info["transparency"] = 0
    assert (converted(tmp_path, palette)[0] == 255).all()


def test_sixteen_bits_are_scaled_not_cut(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    expected = np.rint(values / 257)
    pixels, done = converted(tmp_path, Image.fromarray(values))
    assert np.array_equal(pixels, np.stack([expected] * 3, -1))
    assert done == ["scaled from 16 to 8 bits", "converted from grey to RGB"]
    pixels, _ = converted(tmp_path, Image.fromarray(values), "a.tif")
    assert np.array_equal(pixels[..., 0], expected)
    (tmp_path / "a.pgm").write_bytes(b"P5 8 8 65535\n" + values.astype(">u2").tobytes())
    assert np.array_equal(read(tmp_path / "a.pgm").square(8)[0][0], expected)


def test_sixteen_bit_colour_is_scaled_and_counted(tmp_path: Path) -> None:
    values = np.random.default_rng(3).integers(0, 65536, (8, 8, 3)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(png_of_16_bits(values))
    pixels, done = read(tmp_path / "a.png").square(8)
    assert np.abs(pixels.transpose(1, 2, 0) - values / 257).max() < 1 and done == ("scaled from 16 to 8 bits",)


def grey_tiff(path: Path, values: np.ndarray, **tags: int) -> Path:
    """A TIFF file with tags, by their names."""
    numbers = {"PhotometricInterpretation": 262, "MaxSampleValue": 281}
    extra = TiffImagePlugin.ImageFileDirectory_v2()
    for name, value in tags.items():
        extra[numbers[name]] = value
    Image.fromarray(values).save(path, tiffinfo=extra)
    return path


def test_the_same_scene_is_the_same_in_every_file(tmp_path: Path) -> None:
    scene = noise(4, 8, 8)
    twelve = scene.astype(np.uint16) * 16 + scene // 16
    palette = Image.fromarray(scene).convert("P")
    Image.fromarray(scene).save(tmp_path / "8.png")
    Image.fromarray(scene).save(tmp_path / "8.bmp")
    palette.save(tmp_path / "palette.png")
    Image.fromarray(scene.astype(np.uint16) * 257).save(tmp_path / "16.png")
    grey_tiff(tmp_path / "12.tif", twelve, MaxSampleValue=4095)
    Image.fromarray(scene).save(tmp_path / "stack.tif", save_all=True, append_images=[Image.fromarray(255 - scene)])
    (tmp_path / "12.pgm").write_bytes(b"P5 8 8 4095\n" + twelve.astype(">u2").tobytes())
    for path in tmp_path.iterdir():
        assert np.array_equal(read(path).square(8)[0], np.stack([scene] * 3)), path
    assert read(tmp_path / "12.tif").square(8)[1][0] == "scaled from 12 to 8 bits"
    assert [page for page, _ in pictures.each(tmp_path / "stack.tif")] == [0, 1]
    assert [page for page, _ in pictures.each(tmp_path / "8.png")] == [0]
    assert np.array_equal(read(tmp_path / "stack.tif", page=1).square(8)[0][0], 255 - scene)


def test_twelve_bits_whose_file_does_not_say_so_are_noted_and_can_be_named(tmp_path: Path) -> None:
    scene = noise(5, 8, 8)
    path = grey_tiff(tmp_path / "a.tif", scene.astype(np.uint16) * 16 + scene // 16)
    assert "with no value of 16 bits above 4095 (set `white: 4095` if that is white)" in read(path).conversions
    named = read(path, white=4095)
    assert np.array_equal(named.square(8)[0][0], scene)
    assert named.conversions == ("scaled from 12 to 8 bits", "converted from grey to RGB")
    with pytest.raises(DataError, match="do not lie between 0 and the white that is set, 1023"):
        read(path, white=1023)


def test_a_largest_value_that_is_only_a_statistic_is_no_white(tmp_path: Path) -> None:
    values = np.full((8, 8), 30000, np.uint16)
    for largest in (30000, 4095):  # neither a white, or smaller than the values
        path = grey_tiff(tmp_path / "a.tif", values, MaxSampleValue=largest)
        assert np.array_equal(read(path).square(8)[0][0], np.rint(values / 257))


def test_grey_of_16_bits_may_have_white_at_0(tmp_path: Path) -> None:
    values = np.linspace(0, 65535, 64).astype(np.uint16).reshape(8, 8)
    path = grey_tiff(tmp_path / "a.tif", values, PhotometricInterpretation=1)
    content = bytearray(path.read_bytes())
    tag = content.index((262).to_bytes(2, "little") + (3).to_bytes(2, "little"))
    content[tag + 8 : tag + 10] = b"\0\0"
    path.write_bytes(content)
    assert np.array_equal(read(path).square(8)[0][0], np.rint((65535 - values.astype(float)) / 257))


def test_real_numbers_are_read_where_white_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.linspace(0, 1, 64, dtype=np.float32).reshape(8, 8)).save(tmp_path / "a.tif")
    pixels, done = read(tmp_path / "a.tif", white=1).square(8)
    assert np.abs(pixels[0].ravel() - np.linspace(0, 255, 64)).max() <= 0.51
    assert done[0] == "scaled from 0 to 1"


def test_resizing_is_torchvisions() -> None:
    images = noise(9, 20, 32, 32, 3)
    ours = np.stack([Picture.from_array(image).square(28)[0] for image in images])
    resize = functional.resize
    on_pictures = [np.asarray(resize(Image.fromarray(image), [28, 28])).transpose(2, 0, 1) for image in images]
    assert np.array_equal(ours, np.stack(on_pictures))
    on_tensors = resize(torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), [28, 28], antialias=True).numpy()
    assert np.abs(ours.astype(int) - on_tensors).max() <= 1


def test_the_middle_of_a_wide_picture_is_kept() -> None:
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 30:70] = 200
    pixels, done = Picture.from_array(wide).square(32)
    assert (pixels[:, :, 1:-1] == 200).all()
    assert done == ("cut to the central square", "reduced to 32 pixels")


# --- what a network takes and gives


@pytest.mark.parametrize(("mode", "channels"), [("1", 1), ("L", 1), ("LA", 1), ("I;16", 1), ("RGB", 3), ("RGBA", 3)])
def test_values_lie_between_0_and_1_and_make_the_same_picture(mode: str, channels: int) -> None:
    before = Picture.of(made_up(mode, 9, 11))
    values = before.values()
    assert values.dtype == np.float32 and values.shape == (channels, 9, 11)
    assert 0 <= values.min() < 0.2 and 0.8 < values.max() <= 1
    assert before.grey == (channels == 1)
    after = before.with_values(values.astype(np.float64))
    assert after.image.mode == before.image.mode
    assert np.array_equal(np.asarray(after.image), np.asarray(before.image))
    assert after.conversions == (before.conversions if mode != "1" else ("converted from grey to RGB",))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"])
def test_data_sets_and_networks_see_the_same_values(mode: str, tmp_path: Path) -> None:
    picture = saved(tmp_path, made_up(mode, 8, 8), "a.tif")
    pixels, _ = picture.square(8)
    values = np.broadcast_to(picture.values(), (3, 8, 8))
    opaque = 255 if "A" not in mode else np.asarray(picture.image.getchannel("A"))
    assert np.abs(pixels - (values * opaque + 255.0 - opaque)).max() <= (0.51 if mode == "I;16" else 1.01)


# --- files


@pytest.mark.parametrize(
    ("values", "found"),
    [
        (np.array([[0.5, 1.0]], np.float32), "float32 values from 0.5 to 1.0"),
        (np.full((8, 8), 70000, np.int32), "int32 values from 70000 to 70000"),
        (np.full((8, 8), -1, np.int32), "int32 values from -1 to -1"),
    ],
)
def test_values_of_unknown_range_are_refused(tmp_path: Path, values: np.ndarray, found: str) -> None:
    with pytest.raises(DataError, match=rf"a\.tif: .*{found} have no known range; save .* 8 or 16 bits per value"):
        saved(tmp_path, Image.fromarray(values), "a.tif")


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGB", "I;16"])
def test_a_photograph_taken_sideways_is_turned(mode: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = made_up(mode, 8, 12)
    image.save(tmp_path / "a.png", exif=exif)
    expected = Picture.of(image.transpose(Image.Transpose.ROTATE_270))
    assert np.array_equal(np.asarray(read(tmp_path / "a.png").image), np.asarray(expected.image))


def test_what_is_no_picture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    made_up("RGB").save(content, "PNG")
    for name, text in (("text.png", b"text"), ("cut.png", content.getvalue()[:200]), ("empty.jpg", b"")):
        (tmp_path / name).write_bytes(text)
        with pytest.raises(DataError, match=f"{name}: (not a picture|an empty file)"):
            read(tmp_path / name)
    with pytest.raises(DataError, match="no such file"):
        read(tmp_path / "missing.png")
    with pytest.raises(DataError, match="not a picture"):
        read(tmp_path)
    (tmp_path / "large.png").write_bytes(content.getvalue())
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(DataError, match="has more than 200 pixels"):
        read(tmp_path / "large.png")


@pytest.mark.parametrize("suffix", [".png", ".tif", ".PNG", ".bmp", ".webp", ".jpg", ".jpeg"])
@pytest.mark.parametrize("mode", ["L", "LA", "RGB", "RGBA", "I;16"])
def test_pictures_are_encoded_by_their_suffix(suffix: str, mode: str, tmp_path: Path) -> None:
    before = Picture.of(made_up(mode))
    (tmp_path / f"x{suffix}").write_bytes(encode([before], suffix))
    after = read(tmp_path / f"x{suffix}")
    assert (after.width, after.height) == (601, 37)
    if suffix.lower() in (".png", ".tif") or (suffix == ".webp" and mode == "RGB"):
        assert np.array_equal(np.asarray(after.image), np.asarray(before.image))


@pytest.mark.parametrize("suffix", ["", ".", ".txt", ".docx", ".exe", ".x" * 100])
def test_an_unknown_suffix_is_refused(suffix: str) -> None:
    with pytest.raises(SpecError, match=r"use \.png, \.jpg, \.tif or \.webp"):
        format_of(suffix)


def test_jpeg_loses_less_at_higher_quality() -> None:
    row = np.arange(0, 256, 4, dtype=np.uint8)
    image = np.stack(np.broadcast_arrays(row, row[:, None], row[::-1]), -1)
    losses = [np.abs(pictures.through_jpeg(image, quality) - image.astype(float)).mean() for quality in (10, 50, 100)]
    assert losses == sorted(losses, reverse=True) and losses[2] < 2


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_colour_profile_exif_and_resolution_are_written_again(suffix: str, tmp_path: Path) -> None:
    exif, profile = Image.Exif(), ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif[0x010F] = "maker"
    made_up("RGB", 8, 8).save(tmp_path / "a.jpg", exif=exif, icc_profile=profile, dpi=(300, 300))
    before = read(tmp_path / "a.jpg")
    (tmp_path / f"b{suffix}").write_bytes(encode([before.with_values(before.values())], suffix))
    with Image.open(tmp_path / f"b{suffix}") as after:
        assert after.info["icc_profile"] == profile and after.getexif()[0x010F] == "maker"
        assert suffix == ".webp" or after.info["dpi"] == pytest.approx((300, 300), abs=0.1)


def test_transparency_is_laid_on_white_in_a_jpeg(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(encode([Picture.of(Image.new("RGBA", (8, 8), (0, 0, 0, 0)))], ".jpg"))
    assert (np.asarray(read(tmp_path / "a.jpg").image) == 255).all()
