"""Scoring: the same noisy images for everyone, values that no chunking changes, nothing that isn't a number."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from skimage.metrics import mean_squared_error, peak_signal_noise_ratio, structural_similarity
from torch import nn

from bench.core.errors import BenchError
from bench.core.images import to_float
from bench.core.rng import Draw
from bench.metrics import Average, Metric, metrics
from bench.models import models
from bench.models.base import layers
from bench.noises import Noise, noises
from bench.spec.protocol import CHUNK
from bench.training.score import SAMPLES, NotFinite, Score, fit_to_validation, network_of, score
from tests.helpers.images import data_of, forbidden, smooth_pictures
from tests.helpers.specs import cell_of

CHOSEN = [metrics.parse(name) for name in ("mse", "psnr", "ssim", "ssim_uniform")]


class Function(nn.Module):
    """A function of batches as a network; remembers the batches it was given."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor] = lambda batch: batch) -> None:
        super().__init__()
        self.function = function
        self.seen: list[torch.Tensor] = []

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        self.seen.append(batch.clone())
        return self.function(batch)


def scored(network: nn.Module, count: int = 10, noise: Any = "gaussian", chosen: list[Metric] = CHOSEN) -> Score:
    met = noise if isinstance(noise, Noise) else noises.parse(noise)
    return score(network, replace(data_of(), test=smooth_pictures(300)[:count]), met, chosen)


def conv() -> nn.Module:
    return network_of(cell_of({"conv": {"width": 4}}), 16, None)


@pytest.mark.parametrize("count", [1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_a_padded_chunk_changes_no_value(count: int) -> None:
    many, few = scored(conv(), 300), scored(conv(), count)
    for column, values in few.values.items():
        assert values.shape == (count,)
        assert values.dtype == np.float64
        assert np.array_equal(values, many.values[column][:count]), column


def test_every_chunk_has_the_same_size() -> None:
    seen = Function()
    scored(seen, CHUNK + 1)
    assert [len(batch) for batch in seen.seen] == [CHUNK, CHUNK]


def test_every_model_meets_the_same_images() -> None:
    first, second = Function(), Function(lambda batch: batch.flip(3))
    scored(first, 200)
    scored(Function(), 130)  # what was scored before doesn't matter either
    scored(second, 200)
    for one, other in zip(first.seen, second.seen, strict=True):
        assert torch.equal(one, other)


def test_values_do_not_depend_on_what_was_scored_before() -> None:
    alone = scored(conv(), 20, "masking")
    scored(conv(), 20, "gaussian")
    again = scored(conv(), 20, "masking")
    for column, values in alone.values.items():
        assert np.array_equal(values, again.values[column])


def test_metrics_are_those_of_scikit_image_on_the_clipped_reconstructions() -> None:
    seen = Function(lambda batch: 1.3 * batch - 0.1)
    found = scored(seen, 40)
    clean = smooth_pictures(300)[:40] / 255.0
    made = (1.3 * seen.seen[0][:40] - 0.1).clamp(0, 1).double().numpy()
    gaussian = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}
    for i in range(40):
        images = made[i].transpose(1, 2, 0), clean[i].transpose(1, 2, 0)
        expected = {
            "mse": mean_squared_error(*images),
            "psnr": peak_signal_noise_ratio(images[1], images[0], data_range=1),
            "ssim": structural_similarity(*images, channel_axis=2, data_range=1, **gaussian),
            "ssim_uniform": structural_similarity(*images, channel_axis=2, data_range=1),
        }
        for column, value in expected.items():
            assert found.values[column][i] == pytest.approx(value, abs=1e-6), column


def test_perfect_images_are_counted_apart() -> None:
    first = smooth_pictures(300)[:10]

    def repair_six(batch: torch.Tensor) -> torch.Tensor:
        return torch.cat((to_float(torch.from_numpy(first[:6])), batch[6:]))

    psnr = scored(Function(repair_six)).values["psnr"]
    assert np.isposinf(psnr[:6]).all() and np.isfinite(psnr[6:]).all()
    found = metrics.parse("psnr").summary(psnr)
    assert (found.n, found.exact) == (10, 6)
    assert found.mean == pytest.approx((6 * 60 + psnr[6:].sum()) / 10)
    everything = scored(Function(), noise={"gaussian": {"sigma": 0.0}}).values["psnr"]
    assert metrics.parse("psnr").summary(everything) == Average(math.inf, 0, 10, 10, 10, 0)


@dataclass(frozen=True)
class Odd(Metric):
    """Not a number for one image."""

    title = "odd"
    value: float = math.nan

    def values(self, images: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        found = images.flatten(1).mean(1).double()
        found[3 % len(found)] = self.value
        return found


@dataclass(frozen=True)
class Error(Odd):
    """Infinite, and the less the better: no perfect image, but a broken one."""

    better = "lower"


@dataclass(frozen=True)
class Bad(Noise):
    """Makes what is no number."""

    def corrupt(self, images: torch.Tensor, draw: Draw) -> torch.Tensor:
        return images / 0 - images / 0


@pytest.mark.parametrize(
    ("network", "noise", "chosen", "message"),
    [
        (Function(lambda batch: batch * math.nan), "gaussian", CHOSEN, "the output has values that are not finite"),
        (Function(lambda batch: batch * math.inf), "gaussian", CHOSEN, "the output has values that are not finite"),
        (Function(), Bad(clip=False), CHOSEN, "the noise .* has values that are not finite, in 128 of 128"),
        (Function(), "gaussian", [Odd()], "is nan for 1 of 10 images, the first is image 3"),
        (Function(), "gaussian", [Odd(-math.inf)], "is -inf for 1 of 10"),
        (Function(), "gaussian", [Error(math.inf)], "is inf for 1 of 10"),
    ],
)
def test_what_is_no_number_is_no_score(network: nn.Module, noise: Any, chosen: list[Metric], message: str) -> None:
    with pytest.raises(NotFinite, match=message):
        scored(network, noise=noise, chosen=chosen)


def test_a_network_of_another_shape_is_refused_with_both_shapes() -> None:
    with pytest.raises(BenchError, match=r"the output has shape \(10, 3, 8, 16\) for images of shape \(10, 3, 16"):
        scored(Function(lambda batch: batch[:, :, ::2]))


def test_scoring_looks_at_the_test_images_only() -> None:
    data = replace(data_of(), train=forbidden(), validation=forbidden())
    assert len(score(conv(), data, noises.parse("gaussian"), CHOSEN).values["psnr"]) == 10


def test_fitting_looks_at_the_validation_images_only() -> None:
    data = replace(data_of(), train=forbidden(), test=forbidden())
    model = models.parse("gaussian_filter")
    strong, weak = (
        fit_to_validation(model, data, noises.parse({"gaussian": {"sigma": sigma}})) for sigma in (0.5, 0.02)
    )
    assert strong.params()["sigma"] > weak.params()["sigma"]
    assert fit_to_validation(models.parse("identity"), data, noises.parse("gaussian")) == models.parse("identity")
    assert fit_to_validation(model, replace(data, validation=smooth_pictures(1)[:0]), noises.parse("gaussian")) is model


def test_samples_are_the_first_test_images() -> None:
    seen = Function(lambda batch: 1 - batch)
    samples = scored(seen, 300).samples
    assert np.array_equal(samples["original"], smooth_pictures(300)[:SAMPLES])
    assert np.array_equal(samples["noisy"], (seen.seen[0][:SAMPLES] * 255).round().byte().numpy())
    assert np.abs(samples["output"].astype(int) + samples["noisy"] - 255).max() <= 1
    assert len(scored(Function(), 3).samples["output"]) == 3


def test_samples_lie_in_memory_as_files_hold_them() -> None:
    """Networks compute in channels_last; a file takes an array's memory as it lies."""
    for network in (Function(), conv()):
        for name, batch in scored(network).samples.items():
            assert batch.flags.c_contiguous, name


def test_without_metrics_only_the_samples_are_made() -> None:
    seen = Function()
    alone = scored(seen, CHUNK + 1, chosen=[])
    assert len(seen.seen) == 1 and alone.values == {}
    for name, batch in scored(Function(), CHUNK + 1).samples.items():
        assert np.array_equal(alone.samples[name], batch)


@pytest.mark.parametrize("name", [name for name in models if models[name].trains])
def test_networks_are_ready_to_use(name: str) -> None:
    assert not any(module.training for module in network_of(cell_of(name), 16, None).modules())


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_test_noise_is_scored_on_the_split_it_names(split: str) -> None:
    data = data_of()
    others = {part: forbidden() for part in ("train", "validation", "test") if part != split}
    noise = noises.parse({"gaussian": {"split": split}})
    found = score(nn.Identity(), replace(data, **others), noise, [metrics.parse("psnr")])
    assert len(found.values["psnr"]) == len(getattr(data, split))
    assert noise.label() == ("gaussian(sigma=0.1)" if split == "test" else f"gaussian(sigma=0.1, split={split})")


def test_filters_see_the_images_there_are_and_networks_whole_chunks() -> None:
    seen: list[int] = []

    def watch(images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return images

    psnr = metrics.parse("psnr")
    score(layers.Filter(watch), data_of(), noises.parse("gaussian"), [psnr])
    assert seen == [10]
    network = nn.Conv2d(3, 3, 1)
    network.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    score(network, data_of(), noises.parse("gaussian"), [psnr])
    assert seen[1:] == [CHUNK]
