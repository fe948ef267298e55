"""A mixture of Gaussians on patches: its fit, and the posterior mean under it. Imports torch."""

import torch
from torch import nn
from torch.nn import functional

from bench.models.base import Pairs

PATCHES = 40_000  # that a mixture is fitted to, at most
ROUNDS = 15  # of expectation maximisation
CHUNK = 4096  # patches at a time
ROUNDING = 1 / (12 * 255**2)  # variance that storing in 8 bits adds; no variance is lower
NEGLIGIBLE = 1e-6  # a probability


class PosteriorMean(nn.Module):
    """Noisy images to the posterior mean of their patches, averaged where these overlap.

    components: Gaussians of the mixture. channels: of the images. side: of the patches in pixels.
    sigma: standard deviation of the noise, which is taken as Gaussian and independent.
    The parameters are each component's logarithm of its probability (K,), mean (K, D), principal axes as columns
    (K, D, D) and variances along these (K, D).
    """

    def __init__(self, components: int, channels: int, side: int, sigma: float) -> None:
        super().__init__()
        values = channels * side**2
        self.side, self.sigma = side, sigma
        self.log_shares = _fixed(torch.zeros(components))
        self.means = _fixed(torch.full((components, values), 0.5))
        self.axes = _fixed(torch.eye(values).repeat(components, 1, 1))
        self.variances = _fixed(torch.ones(components, values))

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = patches_of(images, self.side)
        estimates = torch.cat([self.posterior(part) for part in patches.split(CHUNK)])
        columns = estimates.unflatten(0, (len(images), -1)).movedim(1, 2)
        size = images.shape[-2:]
        total = functional.fold(columns, size, self.side)
        return total / functional.fold(torch.ones_like(columns[:1]), size, self.side)

    def posterior(self, patches: torch.Tensor) -> torch.Tensor:
        """The posterior mean of noisy patches (M, D)."""
        along, log_likelihood = self.likelihood(patches, self.sigma**2)
        shares = log_likelihood.softmax(0)
        kept = self.variances / (self.variances + self.sigma**2)
        deviations = torch.bmm(along * kept[:, None] * shares[..., None], self.axes.mT)
        return shares.mT @ self.means + deviations.sum(0)

    def likelihood(self, patches: torch.Tensor, noise: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Deviations from each mean along its axes (K, M, D), and log likelihoods (K, M) up to a constant.

        noise: variance that is added to each value.
        """
        along = torch.bmm(patches.expand(len(self.means), -1, -1), self.axes)
        along -= torch.bmm(self.means[:, None], self.axes)
        variances = self.variances + noise
        distances = (along.square() @ variances.reciprocal()[..., None])[..., 0]
        return along, self.log_shares[:, None] - (variances.log().sum(1)[:, None] + distances) / 2


def patches_of(images: torch.Tensor, side: int) -> torch.Tensor:
    """(N, C, H, W) images as all their overlapping patches, (M, C * side * side)."""
    return functional.unfold(images, side).movedim(1, 2).flatten(0, 1)


def spread(pairs: Pairs, side: int) -> torch.Tensor:
    """About PATCHES patches (M, D) of the clean images of pairs, at even distances."""
    each = -(-PATCHES // len(pairs))
    return torch.cat([_some(clean, side, each) for clean, _ in pairs])


def fit(network: PosteriorMean, patches: torch.Tensor) -> None:
    """Fit a network's mixture to clean patches (M, D), from groups of equal size and rising contrast."""
    components = len(network.means)
    channels = patches.unflatten(1, (-1, network.side**2))
    contrast = channels.var(-1).sum(1)
    groups = contrast.argsort(stable=True).argsort() * components // len(patches)
    _maximise(network, patches, functional.one_hot(groups, components).to(patches).mT)
    for _ in range(ROUNDS):
        shares = [network.likelihood(part, 0.0)[1].softmax(0) for part in patches.split(CHUNK)]
        _maximise(network, patches, torch.cat(shares, 1))


def _maximise(network: PosteriorMean, patches: torch.Tensor, shares: torch.Tensor) -> None:
    """Give a network the mixture that is most likely for patches that belong to its components in these shares.

    shares: (K, M). A component that has lost its patches keeps what it was and gets no more.
    """
    network.log_shares.copy_(shares.sum(1).div(len(patches)).log())
    for component, share in enumerate(shares):
        chosen = share > NEGLIGIBLE
        if not chosen.any():
            continue
        weights, members = share[chosen, None].double(), patches[chosen].double()
        weights /= weights.sum()
        mean = (weights * members).sum(0)
        deviations = (members - mean) * weights.sqrt()
        variances, axes = torch.linalg.eigh(deviations.mT @ deviations)
        network.means[component] = mean
        network.axes[component] = axes
        network.variances[component] = variances.clamp(min=ROUNDING)


def _some(images: torch.Tensor, side: int, most: int) -> torch.Tensor:
    """At most so many of the patches that `patches_of` gives, without making the others."""
    windows = images.unfold(2, side, 1).unfold(3, side, 1)  # a view
    places = len(images) * windows.shape[2] * windows.shape[3]
    chosen = torch.linspace(0, places - 1, min(most, places), dtype=torch.float64).long()
    image, row, column = torch.unravel_index(chosen, (len(images), *windows.shape[2:4]))
    return windows[image, :, row, column].flatten(1)


def _fixed(values: torch.Tensor) -> nn.Parameter:
    return nn.Parameter(values, requires_grad=False)
