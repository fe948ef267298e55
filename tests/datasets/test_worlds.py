"""Exact worlds: the images have the moments that the optimum knows, and nothing is above the optimum."""

from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch

from bench.core.images import to_float
from bench.datasets import datasets
from bench.datasets.worlds import World
from bench.models import ClosedForm, models
from bench.models import _affine as affine
from bench.noises import noises
from bench.training.closed_form import Batches

pytestmark = pytest.mark.usefixtures("own_cache")
SIGMA = 0.1
NOISE = {"gaussian": {"sigma": SIGMA, "clip": False}}
WORLDS = ["gaussian_field", "mixture"]


def world(name: str, size: int = 8, **keys: Any) -> World:
    return cast(World, datasets.parse({name: {"size": size, "train": 6000, "validation": 0.1, "test": 4000, **keys}}))


def noisy_pairs(images: World) -> tuple[np.ndarray, np.ndarray]:
    """Test images, and the same under Gaussian noise that is not clipped; float64."""
    clean = images.load().test / 255
    return clean, clean + SIGMA * np.random.default_rng(0).standard_normal(clean.shape)


def decibels(error: np.ndarray) -> float:
    """Pooled."""
    return float(-10 * np.log10(np.square(error).mean()))


def covariance(images: World, component: int = 0) -> np.ndarray:
    """Of one component's images, (D, D), from its spectrum: entry by entry what a stationary field has."""
    correlations = np.fft.ifft2(images.spectra()[component]).real
    places = np.arange(images.size)
    offsets = (places[:, None] - places) % images.size
    field = correlations[offsets[:, None, :, None], offsets[None, :, None, :]].reshape(images.size**2, -1)
    colours = np.full((3, 3), images.colour) + (1 - images.colour) * np.eye(3)
    return images.deviation**2 * np.kron(colours, field)


def optimum(images: World) -> float:
    """The mean squared error of the best denoiser of one stationary field, in dB."""
    variances = images.variances()
    return float(-10 * np.log10((variances * SIGMA**2 / (variances + SIGMA**2)).mean()))


def test_images_have_the_covariance_of_the_spectrum() -> None:
    images = world("gaussian_field", train=20_000, slope=1.5)
    drawn = images.load().train.reshape(18_000, -1) / 255
    assert drawn.mean() == pytest.approx(0.5, abs=2e-3)
    found, expected = np.cov(drawn.T), covariance(images)
    assert np.linalg.norm(found - expected) < 0.06 * np.linalg.norm(expected)
    assert np.diag(found) == pytest.approx(np.full(192, 0.01), rel=0.06)


@pytest.mark.parametrize("name", WORLDS)
def test_the_power_of_a_frequency_is_that_of_its_negative(name: str) -> None:
    power = world(name).spectra()
    for down, across in ((0, 3), (2, 4), (4, 1), (4, 4)):
        assert np.allclose(power[:, down, across], power[:, -down, -across])


def test_wiener_by_the_true_moments_is_the_optimum_to_a_hundredth_of_a_decibel() -> None:
    images = world("gaussian_field", size=16)
    clean, noisy = noisy_pairs(images)
    true, mean = covariance(images), np.full(768, 0.5)
    moments = affine.Moments(*map(torch.from_numpy, (mean, mean, true + SIGMA**2 * np.eye(768), true)))
    matrix, offset = (part.numpy() for part in affine.predictor(moments))
    reached = decibels(noisy.reshape(len(noisy), -1) @ matrix.T + offset - clean.reshape(len(clean), -1))
    assert reached == pytest.approx(optimum(images), abs=0.01)
    assert decibels(images.posterior_mean(noisy, SIGMA) - clean) == pytest.approx(optimum(images), abs=0.01)


@pytest.mark.parametrize("name", WORLDS)
def test_what_is_fitted_approaches_the_optimum_from_below(name: str) -> None:
    images = world(name)
    clean, noisy = noisy_pairs(images)
    best = decibels(images.posterior_mean(noisy, SIGMA) - clean)
    data = images.load()
    below = {}
    for node in ("wiener", {"wiener": {"patch": 3}}, {"pca": {"patch": 4, "code": 48}}):
        model = cast(ClosedForm, models.parse(node))
        with torch.no_grad():
            pairs = Batches(data.train, noises.parse(NOISE), validation=data.validation)
            output = model.solve(pairs, images.size).eval()(torch.from_numpy(noisy).float()).numpy()
        below[model.label()] = best - decibels(output - clean)
    assert min(below.values()) > -0.005, below
    gap = next(iter(below.values()))
    assert gap < 0.1 if name == "gaussian_field" else gap > 0.1, "no affine map is the best of a mixture"


def test_the_posterior_mean_of_a_mixture_is_that_of_its_densities() -> None:
    images = world("mixture", size=8, components=3, slope=3)
    _, noisy = noisy_pairs(replace(images, train=100, test=5))
    logs, estimates = [], []
    for component in range(3):
        true = covariance(images, component)
        seen = true + SIGMA**2 * np.eye(192)
        rest = noisy.reshape(5, -1) - 0.5
        logs.append(-0.5 * (np.linalg.slogdet(seen)[1] + np.einsum("nd,nd->n", rest, np.linalg.solve(seen, rest.T).T)))
        estimates.append(rest @ np.linalg.solve(seen, true))
    shares = np.exp(np.array(logs) - np.max(logs, 0))
    expected = 0.5 + np.einsum("kn,knd->nd", shares / shares.sum(0), np.array(estimates))
    np.testing.assert_allclose(images.posterior_mean(noisy, SIGMA).reshape(5, -1), expected, atol=1e-8)


def test_images_are_those_of_their_positions() -> None:
    images = world("mixture", train=50, test=20)
    few = replace(images, train=10, validation=0.0)
    assert np.array_equal(few.load().train, images.load().train[:10])
    assert images.identity() != replace(images, slope=1.0).identity()
    assert to_float(torch.from_numpy(images.load().test.copy())).std() == pytest.approx(0.1, rel=0.1)
