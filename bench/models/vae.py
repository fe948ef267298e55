"""Variational autoencoders."""

from dataclasses import dataclass
from typing import Annotated, cast

from annotated_types import Gt, Le

from bench.core.lazy import functional, nn, torch
from bench.core.rng import Draw
from bench.core.validation import EIGHT_BITS
from bench.models._codes import by_unit, change
from bench.models._families import Bottleneck
from bench.models.base import NonNegative, layers, models

ACTIVE = 0.01  # nats at a place, from which on a unit is active
TINY = 1e-8  # an error of 0 has no logarithm
RISING = 24_000  # images of a training until the divergence has its whole weight


@models.register("vae")
@dataclass(frozen=True)
class VAE(Bottleneck):
    """Variational autoencoder: the code is a normal distribution close to N(0, 1); images are decoded from its mean.

    beta: weight of the divergence between the code's distribution and N(0, 1); 1 is the evidence lower bound.
    deviation: of the normal distribution that the decoder predicts for each element, in (0, 1] on the [0, 1] scale;
        null is the best one, the root mean squared error of the batch.
    The loss is the negative bound per element, in nats but for a constant; with a deviation that is given it is scaled
    by 2 deviation^2: the mean squared error plus beta * 2 deviation^2 / elements * divergence. The code is drawn from
    its distribution in training and validation. In training beta rises from 0 to its value over the first 24,000
    images seen: most units were lost to the divergence while the error was still large, and did not come back.
    Source: Kingma & Welling 2014, arXiv:1312.6114; beta: Higgins et al. 2017, beta-VAE, ICLR; the best deviation:
    Rybkin et al. 2021, arXiv:2006.13202; the rise: Bowman et al. 2016, arXiv:1511.06349.
    """

    revision = 4
    beta: NonNegative = 1.0
    deviation: Annotated[float, Gt(0), Le(1), EIGHT_BITS] | None = None

    def build(self, size: int) -> "nn.Module":
        encoder, decoder = self.parts(size, smooth=True)
        code = 4 * self.width
        head = nn.Conv2d(code, 2 * code, 1) if self.kind == "conv" else nn.Linear(code, 2 * code)
        return layers.Variational(encoder, head, decoder)

    def loss(self, network: "nn.Module", inputs: "torch.Tensor", targets: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        parts = cast("layers.Variational", network)
        mean, log_variance = parts.posterior(inputs)
        code = mean + torch.exp(0.5 * log_variance) * draw.normal(tuple(mean.shape[1:]))
        error = functional.mse_loss(parts.decoder(code).float(), targets)
        divergence = self._weight(parts, len(inputs)) * _divergence(mean, log_variance).sum() / targets.numel()
        if self.deviation is None:
            return 0.5 * torch.log(error + TINY) + divergence
        return error + 2 * self.deviation**2 * divergence

    def _weight(self, network: "layers.Variational", images: int) -> "torch.Tensor | float":
        """That of the divergence, in training less than beta at first."""
        if not network.training:
            return self.beta
        network.seen += images
        return self.beta * (network.seen / RISING).clamp(max=1)

    def diagnose(self, network: "nn.Module", images: "torch.Tensor", draw: Draw) -> dict[str, float]:
        parts = cast("layers.Variational", network)
        with torch.no_grad():
            nats = by_unit(_divergence(*parts.posterior(images))).mean(1)
        return {
            "units": len(nats),
            "active_units": int((nats > ACTIVE).sum()),
            "divergence": float(nats.mean()),
            "sensitivity": change(lambda given: parts.posterior(given)[0], images, draw),
        }


def _divergence(mean: "torch.Tensor", log_variance: "torch.Tensor") -> "torch.Tensor":
    """Of a normal distribution from N(0, 1), in nats; the shape of both."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance)


@models.register("beta_vae")
@dataclass(frozen=True)
class BetaVAE(VAE):
    """beta-VAE: a variational autoencoder whose code is kept closer to N(0, 1).

    Source: Higgins et al. 2017, beta-VAE: Learning Basic Visual Concepts, ICLR.
    """

    beta: NonNegative = 4.0
