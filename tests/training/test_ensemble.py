"""The mean over the flips and rotations of an image: against numpy's own, for images of any shape."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from bench.core.errors import BenchError
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from bench.training.ensemble import restore
from bench.training.score import network_of, score
from tests.helpers.images import data_of, images_of
from tests.helpers.specs import cell_of

# The symmetries of a square by their matrices on (row, column), each written out with its inverse.
SYMMETRIES: list[tuple[Callable[[np.ndarray], np.ndarray], Callable[[np.ndarray], np.ndarray]]] = [
    (lambda a: a, lambda a: a),
    (lambda a: a[..., ::-1], lambda a: a[..., ::-1]),
    (lambda a: a[..., ::-1, :], lambda a: a[..., ::-1, :]),
    (lambda a: a[..., ::-1, ::-1], lambda a: a[..., ::-1, ::-1]),
    (lambda a: a.swapaxes(-1, -2), lambda a: a.swapaxes(-1, -2)),
    (lambda a: a.swapaxes(-1, -2)[..., ::-1], lambda a: a[..., ::-1].swapaxes(-1, -2)),
    (lambda a: a.swapaxes(-1, -2)[..., ::-1, :], lambda a: a[..., ::-1, :].swapaxes(-1, -2)),
    (lambda a: a.swapaxes(-1, -2)[..., ::-1, ::-1], lambda a: a[..., ::-1, ::-1].swapaxes(-1, -2)),
]


class Function(nn.Module):
    """A function of arrays as a network."""

    def __init__(self, function: Callable[[torch.Tensor], torch.Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, batch: torch.Tensor) -> torch.Tensor:
        return self.function(batch)


def network(model: str = "conv") -> nn.Module:
    return network_of(cell_of({model: {"width": 4}}), 16, None)


@pytest.mark.parametrize("model", ["conv", "unet"])
@pytest.mark.parametrize("size", [(16, 16), (16, 24), (32, 8)])
def test_it_is_the_mean_over_the_symmetries_of_a_square(model: str, size: tuple[int, int]) -> None:
    images, denoiser = images_of(3, size), network(model)
    with torch.inference_mode():
        outputs = [
            back(denoiser(torch.from_numpy(np.ascontiguousarray(there(images.numpy())))).numpy())
            for there, back in SYMMETRIES
        ]
        found = restore(denoiser, images, 8).numpy()
    assert found.dtype == np.float32 and found.shape == images.shape
    assert np.abs(outputs[0] - found).max() > 1e-4  # one alone is another
    assert np.abs(np.mean(outputs, axis=0) - found).max() < 1e-6


def test_each_symmetry_is_taken_once() -> None:
    seen: list[torch.Tensor] = []
    image = images_of(1, (4, 4))
    restore(Function(lambda batch: seen.append(batch.clone()) or batch), image, 8)  # type: ignore[func-returns-value]
    expected = {there(image.numpy()).tobytes() for there, _ in SYMMETRIES}
    assert len(seen) == len(expected) == 8
    assert {view.contiguous().numpy().tobytes() for view in seen} == expected


def test_what_turns_with_the_image_is_unaffected() -> None:
    images = images_of(5, (12, 20))
    identity, median = (models.parse(name).build(16) for name in ("identity", "median"))
    assert torch.equal(restore(identity, images, 8), images)
    assert torch.allclose(restore(median, images, 8), median(images), atol=1e-7, rtol=0)
    one = network()
    assert torch.equal(restore(one, images, 1), one(images.contiguous(memory_format=torch.channels_last)))


def test_scores_are_those_of_the_mean_and_its_cost_is_counted() -> None:
    chosen = [metrics.parse("mse")]
    calls: list[int] = []

    def shifted(batch: torch.Tensor) -> torch.Tensor:
        calls.append(len(batch))
        return batch.roll(1, -1)

    data, noise = data_of(), noises.parse({"gaussian": {"sigma": 0.0}})
    alone, mean = (score(Function(shifted), data, noise, chosen, ensemble=count) for count in (1, 8))
    assert len(calls) == 9  # the one test in a chunk of its own, and eight times
    clean = data.test.astype(np.float64) / 255
    outputs = [back(np.roll(there(clean), 1, -1)) for there, back in SYMMETRIES]
    expected = ((np.mean(outputs, axis=0) - clean) ** 2).mean((1, 2, 3))
    assert mean.values["mse"] == pytest.approx(expected, abs=1e-7)
    assert (mean.values["mse"] < alone.values["mse"]).all()


def test_an_output_of_another_shape_is_refused() -> None:
    with pytest.raises(BenchError, match="has shape"):
        score(Function(lambda batch: batch[:, :1]), data_of(), noises.parse("gaussian"), [], ensemble=8)
