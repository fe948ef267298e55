"""The best affine denoiser: against formulas, with moments computed by numpy."""

from typing import Any, cast

import numpy as np
import pytest
import torch

from bench.core.errors import FieldError
from bench.core.images import to_float
from bench.models import ClosedForm, models
from bench.models import _affine as affine
from bench.noises import noises
from bench.training.closed_form import Batches
from tests.helpers.images import smooth_pictures

SIDE, VALUES, SIGMA = 8, 192, 0.1
UNCLIPPED = {"gaussian": {"sigma": SIGMA, "clip": False}}


def solved(model: Any, pictures: np.ndarray, noise: Any, validation: np.ndarray | None = None) -> Any:
    pairs = Batches(pictures, noises.parse(noise), validation=validation)
    with torch.no_grad():
        return cast(ClosedForm, models.parse(model)).solve(pairs, pictures.shape[-1]).eval()


def rows(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1) / 255


def formula(pictures: np.ndarray, kept: float, extra: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The map of corrupted images of mean kept * x and a noise of covariance `extra`, the usual ridge added."""
    clean = rows(pictures)
    covariance, mean = np.cov(clean.T, bias=True), clean.mean(0)
    seen = kept**2 * covariance + extra
    seen += affine.UNHELD * np.trace(seen) / len(seen) * np.eye(len(seen))
    matrix = np.linalg.solve(seen, kept * covariance).T
    return matrix, mean - matrix @ (kept * mean)


def decibels(error: np.ndarray) -> float:
    return float(-10 * np.log10(np.square(error).mean()))


def both(noise: Any, kept: float, variance: Any) -> tuple[float, float]:
    """PSNR over other images of what was solved and of the formula. variance: of noise, by the squares of images."""
    pictures, others = smooth_pictures(3000, SIDE, 1), smooth_pictures(256, SIDE, 2)
    ((clean, noisy),) = list(Batches(others, noises.parse(noise)).again(99))
    matrix, offset = formula(pictures, kept, variance(rows(pictures) ** 2))
    with torch.no_grad():
        ours = solved({"wiener": {"flips": False}}, pictures, noise)(noisy).flatten(1).numpy()
    truth = clean.flatten(1).numpy()
    return decibels(ours - truth), decibels(noisy.flatten(1).numpy() @ matrix.T + offset - truth)


ELEMENTS = {
    "gaussian": (UNCLIPPED, 1.0, lambda squares: SIGMA**2 * np.eye(VALUES)),
    "masking": ({"masking": {"p": 0.5}}, 0.5, lambda squares: np.diag(0.25 * squares.mean(0))),
    "speckle": ({"speckle": {"sigma": 0.2, "clip": False}}, 1.0, lambda squares: np.diag(0.04 * squares.mean(0))),
}


@pytest.mark.parametrize("case", ELEMENTS)
def test_known_moments_of_the_noise_give_the_same_map(case: str) -> None:
    noise, kept, variance = ELEMENTS[case]
    ours, best = both(noise, kept, variance)
    assert ours == pytest.approx(best, abs=0.03)


def test_channels_that_are_masked_together_are_counted_as_that() -> None:
    noise = {"masking": {"p": 0.5, "per": "pixel"}}
    images = to_float(torch.from_numpy(smooth_pictures(3000, SIDE, 1)))
    products = torch.einsum("nahw,nbhw->abhw", images, images).flatten(2) / len(images)
    together = torch.zeros(3, SIDE**2, 3, SIDE**2)
    place = torch.arange(SIDE**2)
    together[:, place, :, place] = 0.25 * products.permute(2, 0, 1)
    extra = together.reshape(VALUES, VALUES).numpy()
    ours, best = both(noise, 0.5, lambda squares: extra)
    alone, _ = both({"masking": {"p": 0.5}}, 0.5, lambda squares: extra)
    assert ours == pytest.approx(best, abs=0.03)
    assert ours > alone + 0.5, "what one channel shows of the mask helps the others"


def test_noise_with_neighbours_in_common_has_the_covariance_that_it_was_made_with() -> None:
    draw = np.random.default_rng(0)
    places = np.arange(6)
    along = 0.6 ** np.abs(places[:, None] - places)
    channels = np.array([[1.0, 0.5], [0.5, 2.0]])
    strength = np.linspace(0.5, 1.5, 72)
    expected = np.kron(channels, np.kron(along, along)) * np.outer(strength, strength)
    images = draw.multivariate_normal(np.zeros(72), expected, 4000).reshape(-1, 2, 6, 6)
    found = affine._Deviations()
    for part in np.split(images, 4):
        found.add(torch.from_numpy(part))
    ours, plain = (
        np.linalg.norm(each - expected) for each in (found.covariance().numpy(), np.cov(images.reshape(-1, 72).T))
    )
    assert ours < 0.04 * np.linalg.norm(expected) and ours < 0.6 * plain


def test_without_noise_nothing_is_added() -> None:
    found = affine._Deviations()
    found.add(torch.zeros(5, 3, 4, 4, dtype=torch.float64))
    assert torch.equal(found.covariance(), torch.zeros(48, 48, dtype=torch.float64))


def test_windows_give_the_map_of_least_squares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(affine, "DRAWS", 1)
    pictures, noise = smooth_pictures(60, SIDE, 1), noises.parse({"poisson": {"peak": 30}})
    ((clean, noisy),) = list(Batches(pictures, noise))
    padded = np.pad(noisy.numpy(), ((0, 0), (0, 0), (1, 1), (1, 1)), mode="reflect")
    seen = np.stack([padded[:, :, y : y + SIDE, x : x + SIDE] for y in range(3) for x in range(3)], -1)
    given = seen.transpose(0, 2, 3, 1, 4).reshape(-1, 27).astype(float)
    wanted = clean.numpy().transpose(0, 2, 3, 1).reshape(-1, 3).astype(float)
    centred = given - given.mean(0)
    gram = centred.T @ centred / len(given)
    gram += affine.UNHELD * np.trace(gram) / 27 * np.eye(27)
    matrix = np.linalg.solve(gram, centred.T @ wanted / len(given))
    expected = wanted.mean(0) + centred @ matrix
    with torch.no_grad():
        output = solved({"wiener": {"patch": 3, "flips": False}}, pictures, noise.node())(noisy)
    np.testing.assert_allclose(output.permute(0, 2, 3, 1).reshape(-1, 3), expected, atol=1e-5)


def test_fewer_windows_lie_all_over_the_images() -> None:
    images = torch.arange(3 * 16 * 16).reshape(3, 1, 16, 16).float()
    given, wanted = affine._windows(images, images, 3, 300)
    assert given.shape == (300, 9) and torch.equal(given[:, 4], wanted[:, 0])
    middles = wanted.long()
    assert len(middles.unique()) == 300
    for share in (middles % 16, middles // 16 % 16):
        assert share.unique().numel() == 16 and share.flatten().bincount().max() < 40


@pytest.mark.parametrize("sigma", [0.005, 0.1])
def test_the_ridge_is_the_best_on_what_is_held_back(sigma: float, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures, validation = smooth_pictures(30, SIDE, 1), smooth_pictures(300, SIDE, 2)
    noise = {"gaussian": {"sigma": sigma}}
    ((clean, noisy), *_) = list(Batches(pictures, noises.parse(noise), validation=validation).held)

    def error(network: Any) -> float:
        with torch.no_grad():
            return float((network(noisy) - clean).square().mean())

    chosen = error(solved("wiener", pictures, noise, validation))
    others = []
    for ridge in affine.RIDGES:
        with monkeypatch.context() as patched:
            patched.setattr(affine, "RIDGES", [ridge])
            patched.setattr(affine, "UNHELD", ridge)
            others.append(error(solved("wiener", pictures, noise)))
    assert chosen <= min(others) * 1.02
    assert max(others) > min(others) * 1.02


def test_mirrored_images_make_a_mirrored_map() -> None:
    pictures = smooth_pictures(40, SIDE, 1)
    ((clean, _),) = list(Batches(pictures, None).again(0, mirrored=True))
    assert torch.equal(clean.flip(3), to_float(torch.from_numpy(pictures)))
    still = {"gaussian": {"sigma": 0.0}}
    noisy = to_float(torch.from_numpy(smooth_pictures(9, SIDE, 3)))
    with torch.no_grad():
        for flips, same in ((True, True), (False, False)):
            network = solved({"wiener": {"flips": flips}}, pictures, still)
            assert torch.allclose(network(noisy.flip(3)), network(noisy).flip(3), atol=1e-3) == same


def test_draws_differ_unless_the_noise_is_always_the_same() -> None:
    pictures = smooth_pictures(4, SIDE)
    for fresh in (True, False):
        pairs = Batches(pictures, noises.parse({"gaussian": {"sigma": 0.1, "fresh": fresh}}))
        ((_, own),), ((_, again),), ((_, other),) = (list(p) for p in (pairs, pairs.again(0), pairs.again(1)))
        assert torch.equal(own, again) and torch.equal(own, other) != fresh


@pytest.mark.parametrize("p", [0.0, 0.02, 0.5, 0.9, 1.0])
def test_masked_values_are_the_conditional_mean_of_the_others(p: float) -> None:
    pictures, others = smooth_pictures(600, SIDE, 1), smooth_pictures(5, SIDE, 2)
    ((_, noisy),) = list(Batches(others, noises.parse({"masking": {"p": p}})))
    network = solved({"inpaint": {"flips": False}}, pictures, "masking")
    with torch.no_grad():
        ours, alone = network(noisy).flatten(1).numpy(), network(noisy[:1]).flatten(1).numpy()
    np.testing.assert_allclose(alone, ours[:1], atol=1e-6, err_msg="one by one or together")
    values = rows(pictures)
    mean, covariance = values.mean(0), np.cov(values.T, bias=True) + affine.ROUNDED * np.eye(VALUES)
    for image, found in zip(noisy.flatten(1).double().numpy(), ours, strict=True):
        seen = np.flatnonzero(image)
        guess = mean + covariance[:, seen] @ np.linalg.solve(covariance[np.ix_(seen, seen)], image[seen] - mean[seen])
        expected = np.where(image == 0, guess, image)
        np.testing.assert_allclose(found, expected, atol=2e-3)


def test_knowing_what_is_masked_beats_every_affine_map() -> None:
    pictures, others = smooth_pictures(600, SIDE, 1), smooth_pictures(5, SIDE, 2)
    ((clean, noisy),) = list(Batches(others, noises.parse({"masking": {"p": 0.5}})))
    with torch.no_grad():
        ours = solved({"inpaint": {"flips": False}}, pictures, "masking")(noisy).flatten(1).numpy()
    truth = clean.flatten(1).numpy()
    affinely, _ = both({"masking": {"p": 0.5}}, 0.5, lambda squares: np.diag(0.25 * squares.mean(0)))
    assert decibels(ours - truth) > affinely + 3, "which can't tell masked values from dark ones"


def test_a_window_has_a_middle() -> None:
    with pytest.raises(FieldError, match="must be odd"):
        models.parse({"wiener": {"patch": 4}})
