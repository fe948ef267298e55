"""Muon: momentum whose matrices are made orthogonal before they are applied. Imports torch, so reached through Lazy."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import nn

MOMENTUM = 0.95
# The best odd quintics p(x) = a x + b x^3 + c x^5 for singular values that start in [0.001, 1], one after the other.
# All five take such a value to within 0.13 of 1, smaller ones to what is below that.
POLYNOMIALS = (
    (8.287212018145626, -23.59588651909882, 17.30038731253092),
    (4.107059111542198, -2.947849916737908, 0.5448431082926598),
    (3.948690853482296, -2.908902115962949, 0.5518191394370133),
    (3.318419657370597, -2.488488024314872, 0.5100489401237197),
    (2.300652019954820, -1.668903984574753, 0.4188073119525679),
)
# Norms below it are taken for it: squares of smaller numbers are rounded, so that a layer whose gradients have ended
# and whose momentum fades to nothing would come out as NaN. Its moves fade with its momentum.
FADED = 1e-15
SAFETY = 1.01  # rounding must carry no value beyond 1, where the polynomials grow fast


class Muon(torch.optim.Optimizer):
    """Nesterov momentum of weight matrices, orthogonalised: every direction of a matrix moves by the learning rate.

    A weight of more than two dimensions is the matrix of its first one by all others; a tall matrix moves by
    sqrt(rows / columns) more. Weight decay shrinks the weights, as AdamW does.
    Source: Jordan et al. 2024, Muon: an optimizer for hidden layers in neural networks.
    """

    def __init__(self, weights: Iterable[torch.Tensor], lr: float, weight_decay: float = 0.0) -> None:
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Move every weight that has a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            moves = orthogonal([self._momentum(weight).flatten(1) for weight in weights])
            for weight, move in zip(weights, moves, strict=True):
                rows, columns = move.shape
                if group["weight_decay"]:
                    weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.sub_(move.view_as(weight), alpha=group["lr"] * max(1.0, rows / columns) ** 0.5)

    def _momentum(self, weight: torch.Tensor) -> torch.Tensor:
        """The running mean of a weight's gradients, one step ahead."""
        assert weight.grad is not None
        state = self.state[weight]
        if not state:
            state["momentum"] = torch.zeros_like(weight)
        mean: torch.Tensor = state["momentum"].lerp_(weight.grad, 1 - MOMENTUM)
        return weight.grad.lerp(mean, MOMENTUM)


def orthogonal(matrices: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Each float32 matrix with its singular values taken to about 1: U V^T of its decomposition U S V^T.

    Values above a thousandth of the matrix's Frobenius norm come out within 0.13 of 1, smaller ones below that.
    Matrices of as many rows, or columns if those are fewer, go through the products as one batch.
    Source: Amsel et al. 2025, The Polar Express, arXiv:2505.16932.
    """
    wide = [matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T for matrix in matrices]
    found: dict[int, torch.Tensor] = {}
    for rows in sorted({len(matrix) for matrix in wide}):
        places = [place for place, matrix in enumerate(wide) if len(matrix) == rows]
        # Columns of zeros change no singular value, and stay.
        batch = wide[places[0]].new_zeros(len(places), rows, max(wide[place].shape[1] for place in places))
        for matrix, place in zip(batch, places, strict=True):
            matrix[:, : wide[place].shape[1]] = wide[place]
        for matrix, place in zip(_to_one(batch), places, strict=True):
            found[place] = matrix[:, : wide[place].shape[1]]
    return [found[place] if matrix is wide[place] else found[place].T for place, matrix in enumerate(matrices)]


def _to_one(batch: torch.Tensor) -> torch.Tensor:
    """(N, rows, columns) with the singular values of each matrix taken to about 1."""
    norm = batch.norm(dim=(1, 2), keepdim=True) * SAFETY
    batch = batch / norm.clamp(min=FADED)
    # Odd polynomials are p(X) = q(X X^T) X: all but the first and the last product are of rows x rows alone.
    square = batch @ batch.mT
    factors = torch.eye(len(square[0]), device=batch.device).expand_as(square)
    for number, (a, b, c) in enumerate(POLYNOMIALS, 1):
        scale = SAFETY if number < len(POLYNOMIALS) else 1.0
        factor = torch.baddbmm(square, square, square, beta=b / scale**3, alpha=c / scale**5)
        factor.diagonal(dim1=1, dim2=2).add_(a / scale)
        factors = factor @ factors
        square = factor @ square @ factor
    return factors @ batch


def matrices(network: nn.Module) -> list[torch.Tensor]:
    """The weights of a network that Muon steps, in the order in which the network lists its layers.

    They are those of dense layers and convolutions but for the first and the last one, whose inputs or outputs are
    images. Grouped convolutions are left out: their rows belong to channels that do not mix.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d)]
    mixing = [layer.weight for layer in layers[1:-1] if isinstance(layer, nn.Linear) or layer.groups == 1]
    return list(dict.fromkeys(mixing))
