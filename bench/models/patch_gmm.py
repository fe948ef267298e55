"""A mixture of Gaussians on patches."""

from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Self

from annotated_types import Ge, Gt, Le

from bench.core.lazy import Lazy, nn, torch
from bench.core.validation import EIGHT_BITS
from bench.models.base import ClosedForm, Pairs, models

mixture = Lazy("bench.models._mixture")


@models.register("patch_gmm")
@dataclass(frozen=True)
class PatchGMM(ClosedForm):
    """Posterior mean of colour patches under a mixture of Gaussians, averaged over all patches that overlap.

    The mixture is fitted once to clean patches of the training images, by expectation maximisation; every noise is
    treated as Gaussian.
    components: Gaussians of the mixture, each with a mean and a full covariance.
    patch: side of the patches in pixels, 2 to 12.
    sigma: standard deviation of the noise on the [0, 1] scale, up to 2; null: the root mean square of the noise on
        validation images, or 0.1 without such images.
    Source: Zoran & Weiss 2011, doi:10.1109/ICCV.2011.6126278; the posterior mean: Teodoro et al. 2015,
    doi:10.1109/ICIP.2015.7351355.
    """

    assumes: ClassVar[str] = "gaussian"
    components: Annotated[int, Ge(1), Le(256)] = 24
    patch: Annotated[int, Ge(2), Le(12)] = 6
    sigma: Annotated[float, Gt(0), Le(2), EIGHT_BITS] | None = None

    @property
    def smallest(self) -> int:
        return self.patch

    @property
    def fits(self) -> bool:
        return self.sigma is None

    def fit(self, noisy: "torch.Tensor", clean: "torch.Tensor") -> Self:
        if not self.fits:
            return self
        return replace(self, sigma=float(f"{max(1e-3, float((noisy - clean).square().mean().sqrt())):.4g}"))

    def build(self, size: int) -> "nn.Module":
        return mixture.PosteriorMean(self.components, 3, self.patch, self.sigma or 0.1)

    def solve(self, pairs: Pairs, size: int) -> "nn.Module":
        network = self.build(size)
        mixture.fit(network, mixture.spread(pairs, self.patch))
        return network
