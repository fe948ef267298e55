"""Other people's conventions: what their libraries do to images before PSNR and SSIM, by the names of the libraries."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from bench.core.lazy import functional, torch
from bench.metrics.base import Pair, PairMetric

Library = Literal["basicsr", "basicsr_y", "kair", "matlab", "torchmetrics", "deepinv"]
LUMA = (65.481, 128.553, 24.966)  # of RGB, ITU-R BT.601, and 16 added, in 255ths


@dataclass(frozen=True)
class Convention:
    """What is done to images.

    rounded: to 8 bits. luma: their Y channel alone. edge: how SSIM goes on beyond the border, in torch's words; empty
    where its window lies inside. pooled: whether PSNR is that of the mean error over all images.
    """

    rounded: bool = False
    luma: bool = False
    edge: str = ""
    pooled: bool = False


CONVENTIONS: dict[Library | None, Convention] = {
    None: Convention(),
    "basicsr": Convention(rounded=True),
    "basicsr_y": Convention(rounded=True, luma=True),
    "kair": Convention(rounded=True),
    "matlab": Convention(rounded=True, edge="replicate"),
    "torchmetrics": Convention(edge="reflect", pooled=True),
    "deepinv": Convention(edge="reflect"),
}


@dataclass(frozen=True)
class Conventional(PairMetric):
    """A metric that others compute in other ways.

    like: whose convention to follow: `basicsr` and `kair` round to 8 bits, `basicsr_y` also takes the Y channel alone,
        `matlab` rounds and lets SSIM repeat the border, `deepinv` and `torchmetrics` let it mirror the border, and the
        latter's PSNR is of the mean error of all images; null: none of these.
    border: pixels that are cut off at each side, as super-resolution does.
    """

    like: Library | None = None
    border: Annotated[int, Ge(0), Le(64)] = 0

    @property
    def convention(self) -> Convention:
        return CONVENTIONS[self.like]

    def seen(self, pair: Pair, reach: int = 0) -> Pair:
        """The pair as the convention has it. reach: pixels that the metric's window needs beyond the border."""
        how = self.convention
        if not (how.rounded or how.luma or self.border or (how.edge and reach)):
            return pair
        return Pair(*(self._changed(images, reach) for images in (pair.images, pair.targets)))

    def _changed(self, images: "torch.Tensor", reach: int) -> "torch.Tensor":
        how = self.convention
        found = images.double()
        if how.rounded:
            found = found.mul(255).round().div(255)
        if how.luma:
            weights = torch.tensor(LUMA, dtype=found.dtype, device=found.device)
            found = (torch.einsum("c,nchw->nhw", weights, found)[:, None] + 16) / 255
        if self.border:
            found = found[..., self.border : -self.border, self.border : -self.border]
        return functional.pad(found, (reach,) * 4, mode=how.edge) if how.edge and reach else found
