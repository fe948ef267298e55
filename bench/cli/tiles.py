"""A trained denoiser for pictures of any size, in overlapping tiles, blended so that no seams show."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.cli.trained import Trained
from bench.core.errors import BenchError
from bench.core.lazy import functional, nn, torch
from bench.core.pictures import Picture
from bench.models.base import layers
from bench.spec.cells import Cell
from bench.training.ensemble import restore
from bench.training.score import network_of

TILE = 512  # side of a tile for networks that take any size, in pixels
SMALLEST = 8  # pixels of a side, as of the smallest images of a data set; scikit-image drops axes of one pixel
MARGIN = 32  # pixels discarded at a tile's inner edges, where the network sees padding instead of the picture
OVERLAP = 96  # of neighbouring tiles, in pixels; they are blended between their margins
ALIGNED = 32  # tiles start at multiples of this, so that networks that halve the side see the same grid


@dataclass(frozen=True)
class Denoiser:
    """The network of a stored cell, for pictures of any size.

    size: side of the images it takes, in pixels; TILE if it takes any size. ensemble: as for `restore`.
    """

    cell: Cell
    network: "nn.Module"
    size: int
    ensemble: int = 1

    @classmethod
    def of(cls, trained: Trained) -> "Denoiser":
        """The denoiser of a finished cell. Raises DamagedResult, BenchError for weights of other code."""
        cell, weights = trained.cell, trained.folder.weights()
        size = TILE if cell.model.any_size else int((trained.folder.record() or {})["size"])
        try:
            network = network_of(cell, size, weights)
        except RuntimeError as error:  # torch's, for names or shapes that differ
            raise BenchError(
                f"{trained.folder.folder}: the weights don't fit model {cell.model.name}, whose code has changed: "
                f"{str(error).splitlines()[0]} Run its spec again with a raised `revision` of the class"
            ) from None
        return cls(cell, network.to(memory_format=torch.channels_last), size, trained.ensemble)

    def pooled(self, picture: Picture) -> list[str]:
        """What averages over each tile in place of the picture; nothing where one tile holds the picture."""
        if not self.cell.model.any_size or max(picture.width, picture.height) <= TILE:
            return []
        found = [layers.over_all(module) for module in self.network.modules()]
        return sorted({name for name in found if name})

    def __call__(self, image: "torch.Tensor") -> "torch.Tensor":
        """The estimate of the clean picture: float32 (3, H, W) in [0, 1] in and out, with any H and W.

        Where the network's receptive field reaches no further than MARGIN pixels, tiling does not change the output.
        """
        down, across = (self._cuts(side) for side in image.shape[1:])
        padded = _extend(image, down[-1].end, across[-1].end)
        total, weight = torch.zeros_like(padded), torch.zeros_like(padded[:1])
        with torch.inference_mode():
            for rows in down:
                for columns in across:
                    part = np.s_[:, rows.start : rows.end, columns.start : columns.end]
                    window = rows.window[:, None] * columns.window
                    tile = restore(self.network, padded[part].unsqueeze(0), self.ensemble)[0]
                    total[part] += tile.float() * window
                    weight[part] += window
        return (total / weight).clamp(0, 1)[:, : image.shape[1], : image.shape[2]]

    def _cuts(self, side: int) -> list["Cut"]:
        """The tiles along a side of the picture, given in pixels."""
        model = self.cell.model
        if model.any_size:
            side = max(side, SMALLEST)
            return list(_cuts(side + -side % model.multiple, TILE, OVERLAP, MARGIN, ALIGNED))
        # A network of fixed size sees nothing beyond its border, so each pixel lies in up to 16 tiles.
        return list(_cuts(max(side, self.size), self.size, overlap=self.size * 3 // 4, margin=0, aligned=1))


@dataclass(frozen=True)
class Cut:
    """A tile along one side: its first pixel, and the weight of each of its pixels in the blend."""

    start: int
    window: "torch.Tensor"

    @property
    def end(self) -> int:
        """The pixel after its last one."""
        return self.start + len(self.window)


def denoise_picture(denoiser: Denoiser, picture: Picture) -> Picture:
    """A picture with its noise removed; grey stays grey, 16 bits stay 16 bits, alpha is unchanged.

    The network gets grey as three equal channels, and its three outputs are averaged.
    """
    values = picture.values()
    image = np.ascontiguousarray(np.broadcast_to(values, (3, *values.shape[1:])))
    clean = denoiser(torch.from_numpy(image))
    if picture.grey:
        clean = clean.mean(0, keepdim=True)
    return picture.with_values(clean.double().numpy())


def _extend(image: "torch.Tensor", height: int, width: int) -> "torch.Tensor":
    """The picture extended to the given size, repeating its last row and column."""
    down, right = height - image.shape[1], width - image.shape[2]
    return functional.pad(image.unsqueeze(0), (0, right, 0, down), mode="replicate")[0]


def _cuts(side: int, tile: int, overlap: int, margin: int, aligned: int) -> Iterator[Cut]:
    """Tiles that cover a side exactly. They start at multiples of `aligned`, so the last may be shorter."""
    last = max(0, side - tile)
    last += -last % aligned
    for start in (*range(0, last, tile - overlap), last):
        distance = torch.arange(min(tile, side - start)) + 1.0
        rise = ((distance - margin) / (overlap - 2 * margin + 1)).clamp(0, 1)
        whole = torch.ones_like(rise)
        yield Cut(start, (whole if start == 0 else rise) * (whole if start == last else rise.flip(0)))
