"""Metrics and noises against those of other libraries, where the extra `peers` is installed."""

import importlib.util
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from bench.core.lazy import Lazy
from bench.metrics import compute, metrics
from tests.helpers.images import Node, corrupt, images_of

PEERS = ("torchmetrics", "pytorch_msssim", "kornia", "deepinv")
torchmetrics, msssim, kornia = (Lazy(name) for name in ("torchmetrics.functional.image", "pytorch_msssim", "kornia"))
deepinv, physics = Lazy("deepinv.loss.metric"), Lazy("deepinv.physics")
WANTED = "the extra peers is not installed: pip install '.[peers]'"


def with_peer(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not importlib.util.find_spec(name), reason=f"{name} is missing; {WANTED}")


def inside(images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """torchmetrics' SSIM where the window lies inside: it mirrors the borders, which no other does."""
    _, found = torchmetrics.structural_similarity_index_measure(
        images, targets, data_range=1.0, reduction="none", return_full_image=True
    )
    return found[..., 5:-5, 5:-5].mean((1, 2, 3))


Of = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]  # images and targets, to a value for each image
METRICS: list[tuple[Node, str, Of]] = [
    (
        "psnr",
        "torchmetrics",
        lambda a, b: torchmetrics.peak_signal_noise_ratio(a, b, 1.0, reduction="none", dim=(1, 2, 3)),
    ),
    ("psnr", "kornia", lambda a, b: torch.stack([kornia.metrics.psnr(*pair, 1.0) for pair in zip(a, b, strict=True)])),
    ("psnr", "deepinv", lambda a, b: deepinv.PSNR(max_pixel=1)(a, b)),
    ("mse", "deepinv", lambda a, b: deepinv.MSE()(a, b)),
    ("ssim", "torchmetrics", inside),
    (
        {"ssim": {"like": "torchmetrics"}},
        "torchmetrics",
        lambda a, b: torchmetrics.structural_similarity_index_measure(a, b, data_range=1.0, reduction="none"),
    ),
    ({"ssim": {"like": "deepinv"}}, "deepinv", lambda a, b: deepinv.SSIM(max_pixel=1)(a, b)),
    ({"psnr": {"like": "deepinv"}}, "deepinv", lambda a, b: deepinv.PSNR(max_pixel=1)(a, b)),
    ("ssim", "pytorch_msssim", lambda a, b: msssim.ssim(a, b, data_range=1.0, size_average=False)),
    ("ssim", "kornia", lambda a, b: kornia.metrics.ssim(a, b, 11, padding="valid").mean((1, 2, 3))),
]


@pytest.mark.parametrize(
    ("name", "of"), [pytest.param(n, of, id=f"{n} of {p}", marks=with_peer(p)) for n, p, of in METRICS]
)
def test_metrics_are_those_of_other_libraries(name: Node, of: Of) -> None:
    targets = images_of(5, (24, 33))
    smooth = torch.nn.functional.avg_pool2d(targets, 3, 1, 1)
    for images in (corrupt({"gaussian": {"sigma": 0.1}}, targets), smooth, 1 - targets):
        (found,) = compute([metrics.parse(name)], images, targets).values()
        np.testing.assert_allclose(of(images.double(), targets.double()), found, rtol=2e-4, atol=2e-6)


@with_peer("torchmetrics")
def test_psnr_of_the_mean_error_is_that_of_torchmetrics_over_all_images() -> None:
    targets = images_of(5, (24, 33))
    images = torch.cat([corrupt({"gaussian": {"sigma": 0.05 * (1 + i)}}, targets[i : i + 1]) for i in range(5)])
    pooled = metrics.parse({"psnr": {"like": "torchmetrics"}})
    (values,) = compute([pooled], images, targets).values()
    expected = float(torchmetrics.peak_signal_noise_ratio(images.double(), targets.double(), 1.0))
    assert pooled.summary(values.numpy()).mean == pytest.approx(expected, abs=1e-6)
    assert metrics.parse("psnr").summary(values.numpy()).mean > expected + 0.5


Add = Callable[[torch.Tensor], torch.Tensor]
NOISES: list[tuple[Node, str, Add]] = [
    ({"gaussian": {"sigma": 0.1, "clip": False}}, "deepinv", lambda images: physics.GaussianNoise(0.1)(images)),
    ({"uniform": {"amplitude": 0.2, "clip": False}}, "deepinv", lambda images: physics.UniformNoise(0.2)(images)),
    ({"poisson": {"peak": 30, "clip": False}}, "deepinv", lambda images: physics.PoissonNoise(1 / 30)(images)),
    ({"salt_and_pepper": {"p": 0.2}}, "deepinv", lambda images: physics.SaltPepperNoise(p=0.1, s=0.1)(images)),
    (
        {"salt_and_pepper": {"p": 0.2, "per": "pixel"}},
        "kornia",
        lambda images: kornia.augmentation.RandomSaltAndPepperNoise(
            amount=(0.2, 0.2), salt_vs_pepper=(0.5, 0.5), p=1.0
        )(images),
    ),
    (
        {"gaussian": {"sigma": 0.1, "clip": False}},
        "kornia",
        lambda images: kornia.augmentation.RandomGaussianNoise(std=0.1, p=1.0)(images),
    ),
]


@pytest.mark.parametrize(
    ("node", "add"), [pytest.param(n, add, id=f"{next(iter(n))} of {p}", marks=with_peer(p)) for n, p, add in NOISES]
)
@pytest.mark.parametrize("value", [0.2, 0.7])
def test_noises_are_distributed_as_those_of_other_libraries(node: Node, add: Add, value: float) -> None:
    """Of one grey value: the same mean and spread within chance, and no two-sample test that tells them apart."""
    torch.manual_seed(0)
    clean = torch.full((40, 3, 32, 32), value)
    ours, theirs = corrupt(node, clean).double(), add(clean).double()
    chance = 4 * float(theirs.std()) / (clean.numel() / 3) ** 0.5  # the channels of a pixel may be hit together
    assert float(ours.mean()) == pytest.approx(float(theirs.mean()), abs=2**0.5 * chance)
    assert float(ours.std()) == pytest.approx(float(theirs.std()), rel=0.03)
    one = [noisy[:, 0].flatten()[::7].numpy().round(6) for noisy in (ours, theirs)]
    assert stats.ks_2samp(*one).pvalue > 1e-4


@with_peer("kornia")
@pytest.mark.parametrize("sigma", [0.6, 1.0, 2.5])
def test_blur_is_that_of_kornia(sigma: float) -> None:
    images = images_of(3, (40, 33))
    wide = 2 * int(4 * sigma + 0.5) + 1
    theirs = kornia.filters.gaussian_blur2d(images, (wide, wide), (sigma, sigma), border_type="replicate")
    torch.testing.assert_close(corrupt({"blur": {"sigma": sigma}}, images), theirs, rtol=0, atol=2e-6)


@pytest.fixture(autouse=True)
def torchs_own_seed() -> Iterator[Any]:
    with torch.random.fork_rng(devices=[]):
        yield
