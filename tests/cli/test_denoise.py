"""Pictures of any size and kind through stored denoisers: no seams, nothing lost."""

import csv
import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image
from skimage import data as photographs
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn
from torch.nn import functional

from bench.cli.quality import expected_noise, noise_in, psnr_and_ssim
from bench.cli.tiles import MARGIN, TILE, Denoiser, _cuts, denoise_picture
from bench.cli.trained import find, matching
from bench.core.pictures import Picture
from bench.metrics import metrics
from bench.models import models
from bench.models.base import TrainableModel
from bench.noises import noises
from bench.results.store import CellStore
from bench.training.state import State
from bench.training.train import advance
from tests.helpers.cli import bench, run
from tests.helpers.images import corrupt, data_of, images_of, made_up
from tests.helpers.specs import cell_of, write_spec

pytestmark = pytest.mark.usefixtures("cache")
FULLY_CONVOLUTIONAL: list[tuple[Any, int]] = [
    ({"conv": {"width": 4}}, 16),
    ({"conv": {"width": 4}}, 18),
    ({"unet": {"width": 4}}, 30),
    ({"dncnn": {"width": 4, "depth": 4}}, 17),
    ("median", 16),
]
SIZES = [(1, 1), (5, 17), (33, 500), (500, 333)]


def denoiser(folder: Path, model: Any, size: int = 16, epochs: int = 2) -> Denoiser:
    """A denoiser as a run would have stored it."""
    cell = cell_of(model, epochs=epochs, lr=1e-2)
    state = advance(cell, data_of(size=size), State(), epochs) if cell.train else None
    facts = {"dataset": "made up", "size": size, "parameters": 1, "macs": 1}
    CellStore(folder).finish(cell, state, facts)
    return Denoiser.of(find(folder))


def noisy(height: int, width: int) -> torch.Tensor:
    picture = np.asarray(Image.fromarray(photographs.astronaut()).resize((width, height)), dtype=np.float32) / 255
    draw = np.random.default_rng(0)
    return torch.from_numpy(picture.transpose(2, 0, 1) + 0.1 * draw.normal(size=(3, height, width)).astype(np.float32))


@given(some.integers(1, 3000), some.sampled_from([(512, 96, 32, 32), (16, 12, 0, 1), (28, 21, 0, 1), (40, 16, 4, 8)]))
def test_tiles_cover_every_side(side: int, how: tuple[int, int, int, int]) -> None:
    tile, overlap, margin, aligned = how
    cuts = list(_cuts(side, tile, overlap, margin, aligned))
    weight = torch.zeros(side)
    for cut in cuts:
        assert cut.start % aligned == 0
        assert cut.end - cut.start <= tile
        weight[cut.start : cut.end] += cut.window
    assert cuts[-1].end == side
    assert (weight > 0).all()


@pytest.mark.parametrize(
    ("model", "named"),
    [
        ({"nafnet": {"width": 4}}, "the channel attention of nafnet averages over each tile"),
        ({"unet": {"width": 4, "noise_map": True}}, "the noise map of unet averages over each tile"),
        ({"unet": {"width": 4}}, ""),
    ],
)
def test_what_averages_over_tiles_is_named(model: Any, named: str, tmp_path: Path) -> None:
    denoiser(tmp_path / "cell", model, epochs=1)
    Image.new("RGB", (TILE + 40, 40)).save(tmp_path / "wide.png")
    Image.new("RGB", (TILE, 40)).save(tmp_path / "small.png")
    found = [bench("denoise", tmp_path / name, "--with", tmp_path / "cell") for name in ("wide.png", "small.png")]
    assert [result.exit_code for result in found] == [0, 0], found[0].output
    wide, small = (" ".join(result.output.split()) for result in found)
    assert named in wide and ("Note: " in wide) == bool(named)
    assert "Note: " not in small


def test_weights_that_do_not_fit_are_refused_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    denoiser(tmp_path / "cell", {"conv": {"width": 4}}, epochs=1)
    Image.new("RGB", (20, 20)).save(tmp_path / "a.png")
    monkeypatch.setattr(models["conv"], "build", lambda self, size: nn.Conv2d(3, 3, 1))
    found = bench("denoise", tmp_path / "a.png", "--with", tmp_path / "cell")
    assert found.exit_code == 2
    assert "the weights don't fit model conv" in found.stderr and "revision" in found.stderr


@pytest.mark.parametrize(("model", "size"), FULLY_CONVOLUTIONAL)
def test_tiles_make_what_the_whole_picture_makes(model: Any, size: int, tmp_path: Path) -> None:
    """Whatever size the network was trained on; 701 x 1102 pixels take two by three tiles."""
    ours = denoiser(tmp_path, model, size)
    picture = noisy(701, 1102)
    multiple = ours.cell.model.multiple
    with torch.inference_mode():
        padding = (0, -1102 % multiple, 0, -701 % multiple)
        padded = functional.pad(picture.unsqueeze(0), padding, mode="replicate")
        whole = ours.network(padded)[0, :, :701, :1102].clamp(0, 1)
    assert (ours(picture) - whole).abs().max() < 2e-6


def test_a_network_that_looks_far_leaves_no_seam(tmp_path: Path) -> None:
    """One whose field of view is larger than the margin: the steps at the tiles' borders are those of anywhere."""
    ours = Denoiser(denoiser(tmp_path, "identity").cell, Wide(), TILE)
    output = ours(noisy(300, 1100))
    steps = (output[:, :, 1:] - output[:, :, :-1]).abs().mean((0, 1))
    border = [TILE - MARGIN - 1, TILE - 96 + MARGIN - 1]
    assert max(steps[place] for place in border) < 1.2 * steps[380:540].mean()


class Wide(nn.Module):
    """The mean of 161 x 161 pixels, zeros beyond the border, a tenth of it taken off."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        lines = functional.avg_pool2d(images, (161, 1), 1, (80, 0))
        return images - 0.1 * functional.avg_pool2d(lines, (1, 161), 1, (0, 80))


def test_tiles_of_a_fixed_size_leave_no_seam(tmp_path: Path) -> None:
    ours = denoiser(tmp_path, "dense", epochs=8)
    output = ours(noisy(160, 240))
    steps = (output[:, :, 1:] - output[:, :, :-1]).abs().mean((0, 1))
    by_place = torch.stack([steps[place::4][:-1].mean() for place in range(4)])  # tiles start at every fourth column
    assert by_place.max() < 1.15 * by_place.mean()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("model", [{"conv": {"width": 4}}, {"unet": {"width": 4, "depth": 3}}, "dense"], ids=str)
def test_pictures_of_any_size_keep_it(model: Any, size: tuple[int, int], tmp_path: Path) -> None:
    output = denoiser(tmp_path, model)(noisy(*size))
    assert output.shape == (3, *size)
    assert output.isfinite().all() and output.min() >= 0 and output.max() <= 1


@pytest.mark.parametrize("name", [name for name in models if models[name].trains])
def test_every_model_takes_pictures(name: str, tmp_path: Path) -> None:
    assert denoiser(tmp_path, name, epochs=1)(noisy(21, 45)).shape == (3, 21, 45)


KINDS = [("1", "L"), ("L", "L"), ("LA", "LA"), ("P", "RGB"), ("RGB", "RGB"), ("RGBA", "RGBA"), ("I;16", "I;16")]


@pytest.mark.parametrize(("mode", "kept"), KINDS)
def test_doing_nothing_changes_nothing(mode: str, kept: str, tmp_path: Path) -> None:
    """To the bit, in tiles too."""
    before = made_up(mode)
    after = denoise_picture(denoiser(tmp_path, "identity"), Picture.of(before)).image
    assert (after.mode, after.size) == (kept, before.size)
    assert np.array_equal(np.asarray(after), np.asarray(before if mode == kept else before.convert(kept)))


def test_transparency_of_palettes_and_single_colours_is_kept(tmp_path: Path) -> None:
    ours = denoiser(tmp_path, "identity")
    for mode in ("P", "L", "RGB"):
        clear = made_up(mode, 9, 9)
        clear.info["transparency"] = {"P": 3, "L": 7, "RGB": (1, 2, 3)}[mode]
        clear.putpixel((0, 0), clear.info["transparency"])
        after = denoise_picture(ours, Picture.of(clear)).image
        assert after.mode == ("LA" if mode == "L" else "RGBA")
        assert np.array_equal(np.asarray(after), np.asarray(clear.convert(after.mode)))


def test_alpha_is_left_alone(tmp_path: Path) -> None:
    before = Picture.of(made_up("RGBA"))
    after = np.asarray(denoise_picture(denoiser(tmp_path, {"conv": {"width": 4}}), before).image)
    assert np.array_equal(after[..., 3], np.asarray(before.image)[..., 3])
    assert not np.array_equal(after, np.asarray(before.image))


def test_grey_is_the_mean_of_what_the_network_makes_of_it(tmp_path: Path) -> None:
    ours, before = denoiser(tmp_path, {"conv": {"width": 4}}), Picture.of(made_up("L"))
    values = torch.from_numpy(np.asarray(before.image) / np.float32(255)).expand(3, -1, -1)
    expected = (ours(values).mean(0) * 255).round().numpy()
    assert np.array_equal(np.asarray(denoise_picture(ours, before).image), expected)


def test_sixteen_bits_stay_sixteen_bits(tmp_path: Path) -> None:
    ours, before = denoiser(tmp_path, {"unet": {"width": 4}}), made_up("I;16")
    after = np.asarray(denoise_picture(ours, Picture.of(before)).image)
    assert after.dtype == np.uint16
    assert len(np.unique(after)) > 300
    wide = Image.fromarray(np.asarray(before).astype(np.int32))
    assert np.array_equal(np.asarray(denoise_picture(ours, Picture.of(wide)).image), after)


def test_colour_profiles_are_kept_where_they_still_hold(tmp_path: Path) -> None:
    ours = denoiser(tmp_path, "identity")
    for mode, kept in (("RGB", b"profile"), ("P", b"profile"), ("I;16", b"profile"), ("CMYK", None)):
        before = made_up(mode)
        before.info["icc_profile"] = b"profile"
        assert denoise_picture(ours, Picture.of(before)).image.info.get("icc_profile") == kept


def test_the_command_denoises(tmp_path: Path) -> None:
    denoiser(tmp_path / "cell", {"unet": {"width": 4}})
    made_up("LA", 40, 70).save(tmp_path / "in.png")
    found = bench("denoise", tmp_path / "in.png", "--with", tmp_path / "cell", "-o", tmp_path / "new" / "out.png")
    assert found.exit_code == 0, found.output
    assert "70 x 40, denoised by unet" in found.output
    with Image.open(tmp_path / "new" / "out.png") as out:
        assert (out.mode, out.size) == ("LA", (70, 40))


def test_the_command_says_what_is_wrong_in_one_line(tmp_path: Path) -> None:
    ours = tmp_path / "cell"
    denoiser(ours, {"unet": {"width": 4}})
    made_up("RGB", 8, 8).save(tmp_path / "in.png")
    (tmp_path / "text.png").write_text("text")
    cases = [
        ("in.png", tmp_path, "out.png", 2, "holds no finished cell: give a folder like results/NAME/cells/ID"),
        ("in.png", tmp_path / "missing", "out.png", 2, "holds no finished cell"),
        ("text.png", ours, "out.png", 3, "not a picture"),
        ("missing.png", ours, "out.png", 3, "no such file"),
        ("in.png", ours, "out.xyz", 2, "no picture can be written as '.xyz'"),
        ("in.png", ours, "text.png/out.png", 3, "can't be written"),
    ]
    for name, cell, out, code, message in cases:
        found = bench("denoise", tmp_path / name, "--with", cell, "-o", tmp_path / out)
        assert (found.exit_code, found.stderr.count("\n")) == (code, 1), found.output
        assert message in found.stderr
    weights = ours / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    found = bench("denoise", tmp_path / "in.png", "--with", ours, "-o", tmp_path / "out.png")
    assert (found.exit_code, found.stderr.count("\n")) == (2, 1)
    assert "is damaged" in found.stderr
    assert not (tmp_path / "out.png").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Path:
    """A results folder with two trained models, a fitted one and one that needs neither."""
    home = tmp_path_factory.mktemp("trained")
    models = "models: [{conv: {width: 4}}, {unet: {width: 4}}, {tv: {weight: null}}, identity]"
    path = write_spec(home, ("models: [{conv: {width: 4}}, identity]", models))
    assert run(path, home / "results").exit_code == 0
    return home / "results/tiny"


@pytest.fixture
def noisy_picture(tmp_path: Path) -> Path:
    """A picture with noise of 0.1 under a name of its own, and the same without, clean.png."""
    clean = photographs.chelsea()[50:250, 100:300]
    values = clean / 255 + 0.1 * np.random.default_rng(3).normal(size=clean.shape)
    Image.fromarray(clean).save(tmp_path / "clean.png")
    Image.fromarray((values.clip(0, 1) * 255).round().astype(np.uint8)).save(tmp_path / "noisy.png")
    return tmp_path / "noisy.png"


def test_a_cell_is_found_by_its_model_and_noise(trained: Path, noisy_picture: Path) -> None:
    named = ("--with", trained, "--model", "unet", "--noise", "gaussian")
    found = bench("denoise", noisy_picture, *named)
    assert found.exit_code == 0, found.output
    assert "unet(width=4, depth=2, blocks=0), seed 0, trained on gaussian(sigma=0.1) with 32 images" in found.stdout
    assert "noise in noisy.png about 0.1" in found.stdout and "like Gaussian noise" in found.stdout
    assert not found.stderr
    assert noisy_picture.with_name("noisy-denoised.png").exists()


@pytest.mark.parametrize(
    ("model", "noise", "candidates"),
    [
        ("unet", "", ["unet", "unet"]),
        ("", "gaussian", ["conv", "unet", "tv", "identity"]),
        ("", "", ["conv", "conv", "unet", "unet", "tv", "identity"]),
    ],
)
def test_where_several_are_meant_they_are_listed(
    model: str, noise: str, candidates: list[str], trained: Path, noisy_picture: Path
) -> None:
    found = bench("denoise", noisy_picture, "--with", trained, "--model", model, "--noise", noise)
    assert found.exit_code == 2
    first, *listed = found.stderr.splitlines()
    assert f"holds {len(candidates)} denoisers like that" in first
    assert [re.sub(r"  --with \S+/cells/[0-9a-f]{12}  (\w+).*", r"\1", line) for line in listed] == candidates
    folder = listed[0].split()[1]
    assert bench("denoise", noisy_picture, "--with", folder).exit_code == 0


@pytest.mark.parametrize(
    ("model", "noise", "words"),
    [
        ("unte", "gaussian", ["unknown model 'unte'. Did you mean unet?", "Valid: conv, unet, tv, identity"]),
        ("unet 16", "gaussian", ["no model 'unet 16' here; there are conv(width=4), seed 0, unet(width=4"]),
        ("unet", "gausian", ["unknown noise 'gausian'. Did you mean gaussian?"]),
        ("unet", "gaussian 0.2", ["no noise 'gaussian 0.2' here; there are gaussian(sigma=0.1), masking(p=0.25"]),
    ],
)
def test_where_none_is_meant_the_nearest_is_named(
    model: str, noise: str, words: list[str], trained: Path, noisy_picture: Path
) -> None:
    found = bench("denoise", noisy_picture, "--with", trained, "--model", model, "--noise", noise)
    assert (found.exit_code, found.stderr.count("\n")) == (2, 1)
    assert all(word in found.stderr for word in words), found.stderr


@pytest.mark.parametrize(
    ("given", "names", "meant"),
    [
        ("gaussian", ["gaussian(sigma=0.1)", "gaussian(sigma=0.2)", "masking(p=0.1)"], [0, 1]),
        ("gaussian 0.2", ["gaussian(sigma=0.1)", "gaussian(sigma=0.2)"], [1]),
        ("sigma=0.1", ["gaussian(sigma=0.1)"], []),
        ("gaussian(sigma=0.1)", ["gaussian(sigma=0.1, clip=false)", "gaussian(sigma=0.1)"], [1]),
        ("conv autoencode", ["conv(width=4) [autoencode], seed 0", "conv(width=4), seed 0"], [0]),
        ("conv seed 1", ["conv(width=4), seed 0", "conv(width=4), seed 1"], [1]),
    ],
)
def test_names_may_be_given_in_part(given: str, names: list[str], meant: list[int]) -> None:
    assert matching(given, names) == {names[place] for place in meant}


def test_what_was_fitted_is_used(trained: Path, noisy_picture: Path) -> None:
    """And never the value that stands for null where nothing was fitted."""
    with (trained / "tables/results.csv").open(newline="") as file:
        fits = {row["test_noise"]: row["fitted"] for row in csv.DictReader(file) if row["fitted"]}
    assert len(set(fits.values())) == 2
    asked = ("denoise", noisy_picture, "--with", trained, "--model", "tv")
    found = bench(*asked)
    assert found.exit_code == 2 and "was fitted to several noises; name one with --noise: gaussian" in found.stderr
    for noise, fitted in fits.items():
        found = bench(*asked, "--noise", noise, "--force")
        assert found.exit_code == 0 and f"{fitted}, fitted to {noise}" in found.stdout
        ours = Denoiser.of(find(trained, "tv", noise))
        assert ours.cell.model.label() == fitted != models.parse("tv").label()


def test_the_only_fit_needs_no_name_and_no_fit_is_refused(tmp_path: Path, noisy_picture: Path) -> None:
    path = write_spec(
        tmp_path,
        ("[{conv: {width: 4}}, identity]", "[{tv: {weight: null}}]"),
        ("  - masking: {p: 0.25}\n", ""),
    )
    assert run(path, tmp_path / "results").exit_code == 0
    (cell,) = (tmp_path / "results/tiny/cells").iterdir()
    found = bench("denoise", noisy_picture, "--with", cell)
    assert found.exit_code == 0 and "fitted to gaussian(sigma=0.1)" in found.stdout and "null" not in found.stdout
    shutil.rmtree(cell / "scores")
    found = bench("denoise", noisy_picture, "--with", cell, "--force")
    assert found.exit_code == 2 and "has not been fitted yet" in found.stderr


def test_where_nothing_could_be_fitted_that_is_said(tmp_path: Path, noisy_picture: Path) -> None:
    changes = ("[{conv: {width: 4}}, identity]", "[{tv: {weight: null}}]"), ("validation: 0.2", "validation: 0")
    assert run(write_spec(tmp_path, *changes), tmp_path / "results").exit_code == 0
    found = bench("denoise", noisy_picture, "--with", tmp_path / "results/tiny")
    assert found.exit_code == 0 and "its default, as there were no validation images" in found.stdout


@pytest.mark.parametrize(("sigma", "words"), [(0.02, "weaker"), (0.1, ""), (0.3, "stronger")])
def test_noise_that_does_not_fit_is_warned_of(sigma: float, words: str, trained: Path, tmp_path: Path) -> None:
    clean = photographs.astronaut()[:200, :200] / 255
    values = clean + sigma * np.random.default_rng(3).normal(size=clean.shape)
    Image.fromarray((values.clip(0, 1) * 255).round().astype(np.uint8)).save(tmp_path / "in.png")
    found = bench("denoise", tmp_path / "in.png", "--with", trained, "--model", "unet", "--noise", "gaussian")
    assert found.exit_code == 0
    assert words in found.stderr and bool(found.stderr) == bool(words)
    assert not words or re.search(r"\(gaussian\(sigma=0.1\), about (0.09|0.10)\d in a", found.stderr)
    found = bench("denoise", tmp_path / "in.png", "--with", trained, "--model", "unet", "--noise", "masking", "--force")
    assert not found.stderr, "masking is not what the estimate is made for"


def test_an_input_is_not_overwritten(trained: Path, noisy_picture: Path) -> None:
    """By whatever name it is called."""
    home = noisy_picture.parent
    (home / "link.png").symlink_to(noisy_picture)
    (home / "hard.png").hardlink_to(noisy_picture)
    (home / "folder").mkdir()
    before = noisy_picture.read_bytes()
    named = ("--with", trained, "--model", "unet", "--noise", "gaussian")
    for name in ("noisy.png", "link.png", "hard.png", "folder/../noisy.png", "."):
        found = bench("denoise", noisy_picture, *named, "-o", home / name)
        assert (found.exit_code, found.stderr.count("\n")) == (2, 1)
        assert "is the picture itself: name another place, or overwrite with --force" in found.stderr
    found = bench("denoise", noisy_picture, *named, "-o", home / "clean.png", "--clean", home / "clean.png")
    assert found.exit_code == 2 and "is its original" in found.stderr
    found = bench("denoise", noisy_picture, *named, "-o", home / "clean.png")
    assert found.exit_code == 2 and "clean.png exists: " in found.stderr
    assert noisy_picture.read_bytes() == before
    assert bench("denoise", noisy_picture, *named, "-o", noisy_picture, "--force").exit_code == 0
    assert noisy_picture.read_bytes() != before


def test_an_original_shows_what_was_gained(trained: Path, noisy_picture: Path) -> None:
    home = noisy_picture.parent
    named = ("--with", trained, "--model", "tv", "--noise", "gaussian")
    found = bench("denoise", noisy_picture, *named, "--clean", home / "clean.png", "-o", home / "out.png")
    assert found.exit_code == 0, found.output
    clean, before, after = (np.asarray(Image.open(home / name)) for name in ("clean.png", "noisy.png", "out.png"))
    expected = [peak_signal_noise_ratio(clean, image) for image in (before, after)]
    settings: dict[str, Any] = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    similar = [
        structural_similarity(clean, image, channel_axis=-1, data_range=255, **settings) for image in (before, after)
    ]
    shown = re.findall(r"(PSNR|SSIM) (\S+)(?: dB)? before, (\S+)", found.stdout)
    assert shown[0] == ("PSNR", f"{expected[0]:.2f}", f"{expected[1]:.2f}") and expected[1] > expected[0] + 2
    assert shown[1][1:] == (f"{similar[0]:.3f}", f"{similar[1]:.3f}")
    with Image.open(home / "out-compared.png") as sheet:
        assert sheet.width > 600 and sheet.height > 200
        pixels = np.asarray(sheet)
    for left, image in ((0, clean), (208, before), (416, after)):
        assert (pixels[-200:, left : left + 200] == image).all()


def test_ssim_of_parts_is_ssim_of_the_whole() -> None:
    image, clean = images_of(1, (300, 600))[0], images_of(1, (300, 600), seed=1)[0]
    whole = metrics.parse("ssim").values(image[None], clean[None])
    assert psnr_and_ssim(image, clean)[1] == pytest.approx(float(whole), abs=1e-12)
    assert psnr_and_ssim(image[:, :8, :8], clean[:, :8, :8])[1] is None


@pytest.mark.parametrize("sigma", [0.02, 0.1, 0.3])
def test_the_noise_in_a_flat_image_is_found(sigma: float) -> None:
    image = corrupt({"gaussian": {"sigma": sigma, "clip": False}}, torch.full((1, 3, 200, 200), 0.5))[0]
    assert noise_in(image) == pytest.approx(sigma, rel=0.03)
    assert noise_in(image[:, :8, :8]) is None
    drawn = noises.parse({"gaussian": {"sigma": {"range": [0.1, 0.2]}, "clip": False}})
    assert list(expected_noise(drawn, image) or []) == pytest.approx([0.1, 0.2], rel=0.05)


def test_several_pictures_and_folders_at_once(trained: Path, tmp_path: Path) -> None:
    for name in ("one.png", "in/two.png", "in/deeper/three.jpg", "originals/two.png", "originals/deeper/three.jpg"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        made_up("RGB", 20, 30).save(path)
    (tmp_path / "in/note.txt").write_text("no picture")
    named = ("--with", trained, "--model", "unet", "--noise", "gaussian")
    pictures = (tmp_path / "one.png", tmp_path / "in")
    found = bench("denoise", *pictures, *named, "-o", tmp_path / "out")
    assert found.exit_code == 0, found.output
    written = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*.*"))
    assert written == ["deeper/three.jpg", "one.png", "two.png"]
    assert found.stdout.count("trained on") == 1 and found.stdout.count("denoised by") == 3
    found = bench("denoise", *pictures, *named, "-o", tmp_path / "out")
    assert found.exit_code == 2 and "one.png exists and 2 more: " in found.stderr
    compared = ("-o", tmp_path / "new", "--clean", tmp_path / "originals")
    found = bench("denoise", tmp_path / "in", *named, *compared)
    assert found.exit_code == 0 and found.stdout.count("PSNR perfect before") == 2
    assert (tmp_path / "new/deeper/three-compared.png").exists()


def test_several_pictures_where_something_is_wrong(trained: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c/a.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        made_up("RGB", 20, 30).save(tmp_path / name)
    (tmp_path / "text.png").write_text("text")
    (tmp_path / "empty").mkdir()
    named = ("--with", trained, "--model", "unet", "--noise", "gaussian")
    cases: list[tuple[list[str], list[str], str]] = [
        (["a.png", "b.png"], [], "several pictures need a folder to go to: --output FOLDER"),
        (["a.png", "b.png"], ["-o", "out.png"], "this names a file"),
        (["a.png", "b.png"], ["-o", "text.png"], "this names a file"),
        (["a.png", "b.png"], ["-o", "o", "--clean", "a.png"], "need a folder with originals of the same names"),
        (["a.png", "c/a.png"], ["-o", "o"], "two of the pictures would be written to"),
        (["empty"], ["-o", "o"], "empty has no pictures"),
        (["a.png"], ["-o", "y"], "y: its name must end in .png, .jpg, .tif or .webp, or be that of a folder"),
    ]
    for images, options, message in cases:
        words = [tmp_path / word if word[:1] != "-" else word for word in options]
        found = bench("denoise", *(tmp_path / image for image in images), *named, *words)
        assert (found.exit_code, found.stderr.count("\n")) == (2, 1), found.output
        assert message in found.stderr
    found = bench("denoise", tmp_path / "text.png", tmp_path / "b.png", *named, "-o", tmp_path / "o")
    assert found.exit_code == 3 and "text.png: not a picture" in found.stderr
    assert (tmp_path / "o/b.png").exists(), "the others are done"


def test_a_cell_of_noise_that_can_no_longer_be_written_is_still_used(trained: Path, noisy_picture: Path) -> None:
    cell = find(trained, "unet", "gaussian").folder.folder
    copy = Path(shutil.copytree(cell, noisy_picture.parent / "cell"))
    record = json.loads((copy / "cell.json").read_text())
    record["cell"]["noise"]["gaussian"]["sigma"] = 25.0
    record["labels"]["train_noise"] = "gaussian(sigma=25.0)"
    (copy / "cell.json").write_text(json.dumps(record))
    found = bench("denoise", noisy_picture, "--with", copy)
    assert found.exit_code == 0 and "trained on gaussian(sigma=25.0)" in found.stdout


UNTRAINED = [name for name in models if not issubclass(models[name], TrainableModel) and name != "bm3d"]


@pytest.mark.parametrize("name", UNTRAINED)
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 40), (40, 1), (2, 3)])
def test_the_smallest_pictures_pass_every_filter(name: str, height: int, width: int) -> None:
    clean = images_of(2, (16, 16))
    model = models.parse(name).fit(corrupt("gaussian", clean), clean)
    size = min(TILE, model.largest or TILE)
    ours = Denoiser(dataclasses.replace(cell_of(name), model=model), model.build(size), size)
    picture = noisy(40, 40)[:, :height, :width].contiguous().clamp(0, 1)
    assert ours(picture).shape == picture.shape and torch.isfinite(ours(picture)).all()
    grey = Picture.from_array((picture[0] * 255).round().to(torch.uint8).numpy())
    assert denoise_picture(ours, grey).values().shape == (1, height, width)


def test_a_stack_is_denoised_page_by_page(tmp_path: Path) -> None:
    denoiser(tmp_path / "cell", "identity")
    first, *others = [Image.fromarray((noisy(20, 30)[0].clamp(0, 1) * (60 + 40 * k)).byte().numpy()) for k in range(4)]
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    shutil.copy(tmp_path / "a.tif", tmp_path / "clean.tif")
    found = bench(
        *("denoise", tmp_path / "a.tif", "-o", tmp_path / "b.tif"),
        *("--with", tmp_path / "cell", "--clean", tmp_path / "clean.tif"),
    )
    assert found.exit_code == 0, found.output
    text = " ".join(found.output.split())
    assert "30 x 20, 4 pages, denoised by identity" in text and "page 4: PSNR perfect before" in text
    with Image.open(tmp_path / "b.tif") as stored:
        for number, page in enumerate((first, *others)):
            stored.seek(number)
            assert np.array_equal(np.asarray(stored), np.asarray(page))
    refused = bench("denoise", tmp_path / "a.tif", "-o", tmp_path / "b.jpg", "--with", tmp_path / "cell")
    assert refused.exit_code == 2 and "4 pages can't be written as '.jpg'" in refused.stderr


def test_what_the_output_cannot_hold_is_said(tmp_path: Path) -> None:
    denoiser(tmp_path / "cell", "identity")
    values = np.random.default_rng(0).integers(0, 65536, (24, 25, 3)).astype(np.uint16)
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(values))

    def said(name: str) -> str:
        found = bench("denoise", tmp_path / "a.png", "-o", tmp_path / name, "--with", tmp_path / "cell")
        assert found.exit_code == 0, found.output
        return " ".join(found.output.split())

    assert "Note" not in said("same.png")
    assert np.abs(imagecodecs.png_decode((tmp_path / "same.png").read_bytes()).astype(int) - values).max() <= 1
    assert "Note: x.gif: GIF can't hold 16 bits a value; nor every value: what is stored has" in said("x.gif")
    assert "Note: x.bmp: BMP can't hold 16 bits a value" in said("x.bmp")


def test_other_views_in_a_file_are_said_to_be_left_out(tmp_path: Path) -> None:
    denoiser(tmp_path / "cell", "identity")
    picture = Image.fromarray(noisy(16, 16).clamp(0, 1).mul(255).byte().permute(1, 2, 0).numpy())
    picture.save(tmp_path / "a.mpo", save_all=True, append_images=[picture.resize((8, 8))])
    found = bench("denoise", tmp_path / "a.mpo", "-o", tmp_path / "b.png", "--with", tmp_path / "cell")
    assert "1 preview or other views in a.mpo left out" in " ".join(found.output.split())
