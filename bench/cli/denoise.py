"""A trained denoiser on pictures of any size: in overlapping tiles that are blended, so that no seam shows."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from bench.core.lazy import functional, nn, torch
from bench.core.pictures import Picture
from bench.results.store import CellStore
from bench.spec.cells import Cell
from bench.training.score import network_of

TILE = 512  # side of a tile for networks that take any size, in pixels
MARGIN = 32  # at a tile's inner edges that is thrown away: there a network sees what the picture doesn't hold
OVERLAP = 96  # of a tile with the next; they are blended where neither's margin lies
ALIGNED = 32  # tiles start at multiples of this, or networks that halve the side would see another grid


@dataclass(frozen=True)
class Denoiser:
    """A stored cell, ready for pictures.

    size: side of the images that the network was built for; one that takes any size was built for a tile.
    """

    cell: Cell
    network: "nn.Module"
    size: int

    @classmethod
    def from_folder(cls, folder: CellStore) -> "Denoiser":
        """The denoiser of a finished cell. Raises BenchError for a folder without, or with damaged weights."""
        weights = folder.weights()
        record = folder.record() or {}
        cell = Cell.from_node(record["cell"])
        size = TILE if cell.model.any_size else int(record["size"])
        return cls(cell, network_of(cell, size, weights).to(memory_format=torch.channels_last), size)

    def __call__(self, image: "torch.Tensor") -> "torch.Tensor":
        """The estimate of the clean picture; float32 (3, H, W) in [0, 1] in and out, of any H and W.

        A network that looks no further than MARGIN pixels makes of the tiles what it would make of the whole picture.
        """
        down, across = (self._cuts(side) for side in image.shape[1:])
        padded = _extend(image, down[-1].end, across[-1].end)
        total, weight = torch.zeros_like(padded), torch.zeros_like(padded[:1])
        with torch.inference_mode():
            for rows in down:
                for columns in across:
                    part = np.s_[:, rows.start : rows.end, columns.start : columns.end]
                    window = rows.window[:, None] * columns.window
                    tile = padded[part].unsqueeze(0).contiguous(memory_format=torch.channels_last)
                    total[part] += self.network(tile)[0].float() * window
                    weight[part] += window
        return (total / weight).clamp(0, 1)[:, : image.shape[1], : image.shape[2]]

    def _cuts(self, side: int) -> list["Cut"]:
        """How a side of the picture, in pixels, is cut into tiles."""
        model = self.cell.model
        if model.any_size:
            return list(_cuts(side + -side % model.multiple, TILE, OVERLAP, MARGIN, ALIGNED))
        # Each pixel lies in up to 16 tiles of a network of fixed size, which knows nothing beyond its border.
        return list(_cuts(max(side, self.size), self.size, overlap=self.size * 3 // 4, margin=0, aligned=1))


@dataclass(frozen=True)
class Cut:
    """A tile along one side: where it starts, and the weight of each of its pixels."""

    start: int
    window: "torch.Tensor"

    @property
    def end(self) -> int:
        """Where the next pixel lies."""
        return self.start + len(self.window)


def denoise_picture(denoiser: Denoiser, picture: Picture) -> Picture:
    """A picture with its noise removed; grey stays grey, 16 bits stay 16 bits, alpha stays as it is.

    Grey is shown to the network as three equal channels, whose estimates are averaged.
    """
    values = picture.values()
    image = np.ascontiguousarray(np.broadcast_to(values, (3, *values.shape[1:])))
    clean = denoiser(torch.from_numpy(image))
    if picture.grey:
        clean = clean.mean(0, keepdim=True)
    return picture.with_values(clean.double().numpy())


def _extend(image: "torch.Tensor", height: int, width: int) -> "torch.Tensor":
    """The picture extended below and to the right, by its edge pixels, to the given size."""
    down, right = height - image.shape[1], width - image.shape[2]
    return functional.pad(image.unsqueeze(0), (0, right, 0, down), mode="replicate")[0]


def _cuts(side: int, tile: int, overlap: int, margin: int, aligned: int) -> Iterator[Cut]:
    """Tiles that cover a side exactly; where they start is a multiple of `aligned`, so the last may be shorter."""
    last = max(0, side - tile)
    last += -last % aligned
    for start in (*range(0, last, tile - overlap), last):
        distance = torch.arange(min(tile, side - start)) + 1.0
        rise = ((distance - margin) / (overlap - 2 * margin + 1)).clamp(0, 1)
        whole = torch.ones_like(rise)
        yield Cut(start, (whole if start == 0 else rise) * (whole if start == last else rise.flip(0)))
