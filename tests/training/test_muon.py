"""Muon: its polynomials against their own optimality, what it makes orthogonal against singular vectors in float64."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from bench.models import TrainableModel, models
from bench.training import muon
from bench.training.state import State
from bench.training.train import advance, build
from tests.helpers.images import data_of
from tests.helpers.specs import cell_of

SHAPES = [(16, 144), (16, 16), (64, 576), (128, 64), (32, 8), (64, 32), (1, 9), (5, 1)]
TOLERANCE = 2e-4


def matrices_of(seed: int = 0) -> list[torch.Tensor]:
    """Matrices of every shape whose singular values lie between 0.02 and 1 of the largest, in any size."""
    draw = torch.Generator().manual_seed(seed)
    found = []
    for number, (rows, columns) in enumerate(SHAPES):
        u, _, vt = torch.linalg.svd(torch.randn(rows, columns, generator=draw).double(), full_matrices=False)
        values = torch.logspace(0, -1.7, min(rows, columns), dtype=torch.float64) * 10.0 ** (3 * number - 9)
        found.append((u * values @ vt).float())
    return found


def through_polynomials(matrix: torch.Tensor) -> torch.Tensor:
    """U p(S) V^T in float64, p the polynomials one after the other."""
    u, values, vt = torch.linalg.svd(matrix.double(), full_matrices=False)
    values = values / values.norm() / muon.SAFETY
    for a, b, c in muon.POLYNOMIALS[:-1]:
        safe = values / muon.SAFETY
        values = a * safe + b * safe**3 + c * safe**5
    a, b, c = muon.POLYNOMIALS[-1]
    values = a * values + b * values**3 + c * values**5
    return u * values @ vt


def best_quintic(low: float, high: float) -> np.ndarray:
    """The odd quintic nearest to 1 on [low, high], by Remez exchange: its error has one size and four signs."""
    inner = np.array([(3 * low + high) / 4, (low + 3 * high) / 4])
    for _ in range(100):
        points = np.array([low, *inner, high])
        system = np.stack([points, points**3, points**5, [1, -1, 1, -1]], 1)
        a, b, c, _ = np.linalg.solve(system, np.ones(4))
        inner = np.sort(np.sqrt(np.roots([5 * c, 3 * b, a]).real))
    return np.array([a, b, c])


def test_the_polynomials_are_the_best_ones_of_their_intervals() -> None:
    """Derived anew as the paper has it: the lower end never below 0.024 of the upper, the ends centred about 1."""
    low, high = 1e-3, 1.0
    for given in muon.POLYNOMIALS:
        a, b, c = best_quintic(max(low, 0.02407327424182761 * high), high)
        ends = [a * end + b * end**3 + c * end**5 for end in (low, high)]
        scale = 2 / sum(ends)
        assert given == pytest.approx(scale * np.array([a, b, c]), rel=1e-9)
        low, high = scale * ends[0], 2 - scale * ends[0]
    assert high - 1 == pytest.approx(0.1236, abs=1e-4), "how far from 1 they leave a singular value"


def test_matrices_come_out_as_their_singular_vectors_have_it() -> None:
    given = matrices_of()
    for matrix, found in zip(given, muon.orthogonal(given), strict=True):
        u, _, vt = torch.linalg.svd(matrix.double(), full_matrices=False)
        along = u.T @ found.double() @ vt.T
        values = along.diagonal()
        assert found.shape == matrix.shape and found.dtype == torch.float32
        assert (values - 1).abs().max() < 0.13
        assert (along - values.diag()).abs().max() < TOLERANCE
        assert (found - through_polynomials(matrix)).abs().max() < TOLERANCE


@pytest.mark.parametrize("which", range(5))
@pytest.mark.parametrize("term", range(3))
def test_the_tolerance_tells_a_wrong_polynomial(which: int, term: int, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = [list(polynomial) for polynomial in muon.POLYNOMIALS]
    wrong[which][term] *= 1.01
    expected = [through_polynomials(matrix) for matrix in matrices_of()]
    monkeypatch.setattr(muon, "POLYNOMIALS", wrong)
    off = [(a - b).abs().max() for a, b in zip(muon.orthogonal(matrices_of()), expected, strict=True)]
    assert max(off) > TOLERANCE


def test_a_matrix_comes_out_the_same_in_any_company() -> None:
    given = matrices_of()
    for matrix, found in zip(given, muon.orthogonal(given), strict=True):
        torch.testing.assert_close(muon.orthogonal([matrix])[0], found, rtol=1e-4, atol=1e-5)
    zero, one = muon.orthogonal([torch.zeros(16, 8), given[0]])
    assert torch.equal(zero, torch.zeros(16, 8)) and one.isfinite().all()
    assert muon.orthogonal([]) == []


def names_of(name: Any) -> list[str]:
    model = models.parse(name)
    assert isinstance(model, TrainableModel)
    network = build(model, 32, 0)
    chosen = {id(weight) for weight in muon.matrices(network)}
    return [name for name, weight in network.named_parameters() if id(weight) in chosen]


def test_it_steps_the_matrices_between_the_first_and_the_last_layer() -> None:
    assert names_of("conv") == [
        "encoder.2.weight", "encoder.5.weight", "encoder.7.weight",
        "decoder.0.weight", "decoder.2.weight", "decoder.5.weight",
    ]  # fmt: skip
    assert names_of({"dncnn": {"depth": 4}}) == ["inner.2.weight", "inner.5.weight"]
    # Five pairs of half blocks with three and two layers that mix channels, two ways down and two up.
    assert len(names_of("nafnet")) == 5 * (3 + 2) + 2 + 2
    assert not [name for name in names_of("nafnet") if name.endswith("0.inner.2.weight")]


def test_a_step_is_momentum_made_orthogonal() -> None:
    """Against the recursion written out, in another memory order and with decay."""
    weight = nn.Parameter(torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(1)))
    tall = nn.Parameter(torch.randn(12, 3, generator=torch.Generator().manual_seed(2)))
    expected, means = [weight.detach().clone(), tall.detach().clone()], [torch.zeros(()), torch.zeros(())]
    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    optimizer = muon.Muon([weight, tall], lr=0.02, weight_decay=0.1)
    for step in range(3):
        for place, parameter in enumerate((weight, tall)):
            parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(10 * step + place))
            means[place] = 0.95 * means[place] + 0.05 * parameter.grad
            ahead = (0.05 * parameter.grad + 0.95 * means[place]).flatten(1)
            move = through_polynomials(ahead).float().view_as(parameter)
            growth = max(1, ahead.shape[0] / ahead.shape[1]) ** 0.5
            expected[place] = (1 - 0.02 * 0.1) * expected[place] - 0.02 * growth * move
        optimizer.step()
    torch.testing.assert_close(weight.data, expected[0], rtol=0, atol=2e-5)
    torch.testing.assert_close(tall.data, expected[1], rtol=0, atol=2e-5)


def test_every_direction_moves_by_its_own_rate_and_the_rest_as_with_adamw() -> None:
    settings: dict[str, Any] = {"epochs": 1, "batch_size": 40, "schedule": "constant", "keep": "last", "lr": 1e-3}
    cell = cell_of({"conv": {"width": 4}}, optimizer="muon", muon_lr=0.01, **settings)
    assert isinstance(cell.model, TrainableModel)
    before, after = build(cell.model, 16, 0).state_dict(), advance(cell, data_of(), State(), 1).weights
    adamw = advance(cell_of({"conv": {"width": 4}}, optimizer="adamw", **settings), data_of(), State(), 1).weights
    for name in ("encoder.2.weight", "decoder.2.weight"):
        moved = torch.linalg.svdvals((torch.from_numpy(after[name]) - before[name]).flatten(1).double())
        rows, columns = before[name].flatten(1).shape
        rate = 0.01 * max(1, rows / columns) ** 0.5
        assert moved.max() < 1.13 * rate and moved.median() > 0.87 * rate
    for name in ("encoder.0.weight", "decoder.7.weight", "encoder.2.bias", "encoder.3.weight"):
        np.testing.assert_array_equal(after[name], adamw[name])


def test_a_network_without_matrices_is_trained_by_adamw(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for optimizer in ("muon", "adamw"):
        cell = cell_of("conv", epochs=2, optimizer=optimizer)
        monkeypatch.setattr(type(cell.model), "build", lambda self, size: nn.Sequential(nn.Conv2d(3, 3, 3, padding=1)))
        found.append(advance(cell, data_of(), State(), 2).weights["0.weight"])
    assert np.array_equal(found[0], found[1])


@pytest.mark.parametrize("shape", [(64, 576), (128, 512), (300, 40)])
def test_a_matrix_of_few_directions_gets_no_others(shape: tuple[int, int]) -> None:
    """Rounding must not grow where a gradient has nothing: the polynomials multiply a tiny value by up to 990."""
    draw = torch.Generator().manual_seed(3)
    few = torch.randn(shape[0], 2, generator=draw) @ torch.randn(2, shape[1], generator=draw)
    (found,) = muon.orthogonal([few])
    values = torch.linalg.svdvals(found.double())
    assert ((values[:2] - 1).abs() < 0.13).all() and values[2:].max() < 1e-3


@pytest.mark.parametrize("scale", [1e-12, 1e-16, 1e-20, 4e-22, 1e-30, 1e-44, 0.0])
def test_a_layer_whose_gradients_have_ended_moves_less_and_less(scale: float) -> None:
    """Its momentum fades by a twentieth in each step, to numbers whose squares are rounded."""
    direction = torch.outer(torch.linspace(1, 2, 64), torch.linspace(-1, 1, 576))
    (move,) = muon.orthogonal([direction / direction.norm() * scale])
    assert torch.isfinite(move).all()
    largest = float(torch.linalg.matrix_norm(move.double(), 2))
    assert largest < 1.14 and (largest > 0.86 if scale > 1e-14 else largest <= 1.2e18 * scale)
