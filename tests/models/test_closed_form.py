"""Denoisers in closed form equal their formulas, computed with numpy and scipy."""

import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from bench.core.images import to_float
from bench.models import ClosedForm, models
from bench.models import _mixture as mixture
from bench.noises import Noise, noises
from bench.training.closed_form import Batches
from tests.helpers.images import smooth_pictures

UNCLIPPED = {"gaussian": {"sigma": 0.1, "clip": False, "quantize": False}}


def images(count: int = 300, size: int = 8) -> np.ndarray:
    return smooth_pictures(count, size, 5)


def solved(model: Any, pictures: np.ndarray, noise: Noise | None = None) -> Any:
    with torch.no_grad():
        return cast(ClosedForm, models.parse(model)).solve(Batches(pictures, noise), pictures.shape[-1]).eval()


def patches_side_by_side(pictures: np.ndarray, side: int) -> np.ndarray:
    """(N, C, H, W) as (M, C * side * side), row by row."""
    count, channels, height, width = pictures.shape
    cut = pictures.reshape(count, channels, height // side, side, width // side, side)
    return cut.transpose(0, 2, 4, 1, 3, 5).reshape(-1, channels * side**2)


def put_together(patches: np.ndarray, like: np.ndarray, side: int) -> np.ndarray:
    count, channels, height, width = like.shape
    cut = patches.reshape(count, height // side, width // side, channels, side, side)
    return cut.transpose(0, 3, 1, 4, 2, 5).reshape(like.shape)


@pytest.mark.parametrize(("patch", "code"), [(None, 5), (4, 3), (2, 7), (4, 4096)])
def test_pca_without_noise_projects_as_numpys_svd(patch: int | None, code: int) -> None:
    pictures = images()
    values = patches_side_by_side(pictures / 255, side := patch or 8)
    _, _, rows = np.linalg.svd(values - values.mean(0), full_matrices=False)
    kept = rows[:code]
    tested = images(4)[:, :, ::-1].copy()
    found = patches_side_by_side(tested / 255, side)
    expected = put_together(values.mean(0) + (found - values.mean(0)) @ kept.T @ kept, tested, side)
    network = solved({"pca": {"patch": patch, "code": code}}, pictures)
    np.testing.assert_allclose(network(to_float(torch.from_numpy(tested))).detach(), expected, atol=2e-5)


@pytest.mark.parametrize("noise", [UNCLIPPED, {"masking": {"p": 0.5}}], ids=str)
def test_pca_shrinks_each_component_by_regression_on_the_corrupted_one(noise: Any) -> None:
    pictures, corruption = images(), noises.parse(noise)
    pairs = list(Batches(pictures, corruption))
    clean, noisy = (patches_side_by_side(torch.cat(part).numpy(), 4) for part in zip(*pairs, strict=True))
    _, axes = np.linalg.eigh(np.cov(clean.T, bias=True))
    axes = axes[:, -6:]
    expected = clean.mean(0)
    for axis in axes.T:
        slope, offset = np.polyfit(noisy @ axis, (clean - clean.mean(0)) @ axis, 1)
        expected = expected + np.outer(slope * (noisy @ axis) + offset, axis)
    network = solved({"pca": {"patch": 4, "code": 6}}, pictures, corruption)
    output = network(torch.cat([noisy for _, noisy in pairs])).detach()
    np.testing.assert_allclose(output, put_together(expected, pictures, 4), atol=2e-5)


def test_pca_of_every_component_is_the_wiener_filter_of_independent_noise() -> None:
    pictures, sigma = images(4000), 0.1
    values = patches_side_by_side(pictures / 255, 4)
    covariance, mean = np.cov(values.T, bias=True), values.mean(0)
    wiener = covariance @ np.linalg.inv(covariance + sigma**2 * np.eye(48))
    noisy = images(20) / 255 + sigma * np.random.default_rng(0).normal(size=(20, 3, 8, 8))
    expected = put_together(mean + (patches_side_by_side(noisy, 4) - mean) @ wiener.T, noisy, 4)
    network = solved({"pca": {"patch": 4, "code": 48}}, pictures, noises.parse(UNCLIPPED))
    output = network(torch.from_numpy(noisy).float()).detach().numpy()
    # The slopes are estimated from 16,000 noisy patches, hence from noise as well.
    assert np.abs(output - expected).max() < 0.02
    assert np.abs(output - noisy).max() > 0.2


def test_one_gaussian_is_the_wiener_filter() -> None:
    pictures, sigma, side = images(600, 8), 0.1, 4
    network = solved({"patch_gmm": {"components": 1, "patch": side, "sigma": sigma}}, pictures)
    values = mixture.spread(Batches(pictures, None), side).double().numpy()
    covariance, mean = np.cov(values.T, bias=True), values.mean(0)
    noisy = images(9, side) / 255 + sigma * np.random.default_rng(0).normal(size=(9, 3, side, side))
    wiener = covariance @ np.linalg.inv(covariance + sigma**2 * np.eye(48))
    expected = mean + (noisy.reshape(9, -1) - mean) @ wiener.T
    output = network(torch.from_numpy(noisy).float())  # an image of a single patch
    np.testing.assert_allclose(output.reshape(9, -1), expected, atol=1e-4)


def made_up_mixture() -> Any:
    torch.manual_seed(0)
    network = mixture.PosteriorMean(3, 3, 2, 0.2)
    network.log_shares.copy_(torch.tensor([0.5, 0.3, 0.2]).log())
    network.means.copy_(torch.rand(3, 12))
    network.axes.copy_(torch.linalg.qr(torch.randn(3, 12, 12))[0])
    network.variances.copy_(0.2 * torch.rand(3, 12))
    return network


def test_the_posterior_mean_is_that_of_the_densities() -> None:
    network, sigma = made_up_mixture(), 0.2
    noisy = np.random.default_rng(1).random((20, 12))
    weights, estimates = [], []
    for share, mean, axes, variances in zip(*(p.double().numpy() for p in network.parameters()), strict=True):
        covariance = axes @ np.diag(variances) @ axes.T
        seen = covariance + sigma**2 * np.eye(12)
        weights.append(np.exp(share) * multivariate_normal(mean, seen).pdf(noisy))
        estimates.append(mean + (noisy - mean) @ np.linalg.solve(seen, covariance))
    expected = np.einsum("km,kmd->md", weights / np.sum(weights, 0), estimates)
    np.testing.assert_allclose(network.posterior(torch.from_numpy(noisy).float()), expected, atol=1e-4)


def test_overlapping_patches_count_alike() -> None:
    network = made_up_mixture()
    noisy = torch.rand(1, 3, 5, 7)
    total, count = np.zeros((3, 5, 7)), np.zeros((1, 5, 7))
    for row in range(4):
        for column in range(6):
            patch = noisy[:, :, row : row + 2, column : column + 2].flatten(1)
            total[:, row : row + 2, column : column + 2] += network.posterior(patch).numpy().reshape(3, 2, 2)
            count[:, row : row + 2, column : column + 2] += 1
    np.testing.assert_allclose(network(noisy)[0], total / count, atol=1e-5)


def test_patches_are_those_of_the_images_in_the_same_order() -> None:
    pictures = to_float(torch.from_numpy(images(2)))
    few = mixture.spread(Batches(images(2), None), 3)
    assert torch.equal(few, mixture.patches_of(pictures, 3))


def test_no_round_lowers_the_likelihood(monkeypatch: pytest.MonkeyPatch) -> None:
    patches = mixture.spread(Batches(images(), None), 4)
    found = []
    for rounds in range(6):
        monkeypatch.setattr(mixture, "ROUNDS", rounds)
        network = mixture.PosteriorMean(5, 3, 4, 0.1)
        mixture.fit(network, patches)
        found.append(float(network.likelihood(patches, 0.0)[1].double().logsumexp(0).mean()))
    assert all(later > earlier - 1e-3 for earlier, later in pairwise(found)), found
    assert found[-1] > found[0] + 0.1


def test_more_components_than_patches_leave_the_rest_empty() -> None:
    network = solved({"patch_gmm": {"components": 24, "patch": 8}}, images(6))
    assert torch.isfinite(network(torch.rand(2, 3, 16, 16))).all()


def test_patch_gmm_takes_sigma_from_validation_images() -> None:
    clean = torch.rand(40, 3, 16, 16)
    model = models.parse("patch_gmm")
    fitted = model.fit(clean + 0.2 * torch.randn(clean.shape), clean)
    assert fitted.sigma == pytest.approx(0.2, rel=0.05)  # type: ignore[attr-defined]
    assert not fitted.fits
    assert models.parse({"patch_gmm": {"sigma": 0.3}}).fit(clean, clean).sigma == 0.3  # type: ignore[attr-defined]


SOLVE = """\
import hashlib, sys, torch
from bench.training.closed_form import solve
from tests.helpers.images import data_of
from tests.helpers.specs import cell_of
torch.set_num_threads(int(sys.argv[1]))
for model in ("pca", {"pca": {"patch": 4}}, {"patch_gmm": {"components": 3, "patch": 4}}, "wiener"):
    weights = solve(cell_of(model), data_of())[0].kept
    print(hashlib.sha256(b"".join(weights[name].tobytes() for name in sorted(weights))).hexdigest())
"""


def outputs() -> Iterator[str]:
    for threads in ("1", "2"):
        yield subprocess.run([sys.executable, "-c", SOLVE, threads], capture_output=True, text=True, check=True).stdout


def test_every_process_solves_to_the_same_bits() -> None:
    first, second = outputs()
    assert first == second
    assert len(set(first.split())) == 4
