"""Pictures of any size and kind through stored denoisers: no seams, nothing lost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from PIL import Image
from skimage import data as photographs
from torch import nn
from torch.nn import functional

from bench.cli.tiles import MARGIN, TILE, Denoiser, _cuts, denoise_picture
from bench.core.pictures import Picture
from bench.models import models
from bench.results.store import CellStore
from bench.training.state import State
from bench.training.train import advance
from tests.helpers.cli import bench
from tests.helpers.images import data_of, made_up
from tests.helpers.specs import cell_of

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
    return Denoiser.from_folder(CellStore(folder))


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
