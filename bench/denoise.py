"""A trained denoiser on pictures of any size: in overlapping tiles that are blended, so that no seam shows."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from bench.errors import BenchError
from bench.evaluate import network_of
from bench.lazy import functional, nn, torch
from bench.plan import Cell
from bench.store import CellStore

TILE = 256  # side of a tile for networks that take any size, in pixels
OVERLAP = 64  # of such a tile with the next; more than the networks' receptive fields reach
GREY = ("1", "L", "LA", "I", "I;16", "I;16B", "F")


@dataclass(frozen=True)
class Denoiser:
    """A stored cell, ready for pictures.

    size: side of the images it was trained on.
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
        size = int(record["size"])
        return cls(cell, network_of(cell, size, weights), size)

    def __call__(self, image: "torch.Tensor") -> "torch.Tensor":
        """The estimate of the clean picture; float32 (3, H, W) in [0, 1] in and out, of any H and W."""
        model = self.cell.model
        tile, overlap = (TILE, OVERLAP) if model.any_size else (self.size, self.size // 2)
        height, width = image.shape[1:]
        if model.any_size:
            tile += -tile % model.multiple
            needed = [min(tile, side + -side % model.multiple) for side in (height, width)]
        else:
            needed = [tile, tile]
        padded = _extend(image, needed[0], needed[1])
        total, weight = torch.zeros_like(padded), torch.zeros_like(padded[:1])
        window = _window(needed[0], overlap)[:, None] * _window(needed[1], overlap)[None, :]
        with torch.inference_mode():
            for top in _starts(padded.shape[1], needed[0], overlap):
                for left in _starts(padded.shape[2], needed[1], overlap):
                    part = np.s_[:, top : top + needed[0], left : left + needed[1]]
                    total[part] += self.network(padded[part].unsqueeze(0))[0].float() * window
                    weight[part] += window
        return (total / weight).clamp(0, 1)[:, :height, :width]


def denoise_picture(denoiser: Denoiser, picture: Image.Image) -> Image.Image:
    """A picture with its noise removed; grey stays grey, transparency is kept as it is, 16 bits stay 16 bits.

    Grey is shown to the network as three equal channels and averaged again.
    """
    alpha = picture.getchannel("A") if "A" in picture.getbands() else None
    grey = picture.mode in GREY
    deep = picture.mode in ("I", "I;16", "I;16B")
    if picture.mode == "F":
        raise BenchError("a picture of floating-point values has no known range: save it as 8 or 16 bits first")
    if deep:
        values = np.asarray(picture, dtype=np.float32)[None] / 65535
    elif grey:
        values = np.asarray(picture.convert("L"), dtype=np.float32)[None] / 255
    else:
        values = np.asarray(picture.convert("RGB"), dtype=np.float32).transpose(2, 0, 1) / 255
    output = denoiser(torch.from_numpy(np.ascontiguousarray(np.broadcast_to(values, (3, *values.shape[1:])))))
    if grey:
        output = output.mean(0)
    scaled = (output * (65535 if deep else 255)).round().numpy().astype(np.uint16 if deep else np.uint8)
    clean = Image.fromarray(scaled if grey else scaled.transpose(1, 2, 0))
    if alpha is not None:
        clean.putalpha(alpha)
    return clean


def _extend(image: "torch.Tensor", height: int, width: int) -> "torch.Tensor":
    """The picture extended below and to the right, by its edge pixels, to at least the size of one tile."""
    down, right = max(0, height - image.shape[1]), max(0, width - image.shape[2])
    return functional.pad(image.unsqueeze(0), (0, right, 0, down), mode="replicate")[0]


def _starts(side: int, tile: int, overlap: int) -> list[int]:
    starts = list(range(0, max(1, side - tile + 1), max(1, tile - overlap)))
    return starts if starts[-1] + tile >= side else [*starts, side - tile]


def _window(tile: int, overlap: int) -> "torch.Tensor":
    """Weights along one side of a tile: rising over the overlap and falling again, never 0."""
    ramp = min(overlap, tile // 2)
    distance = torch.arange(tile).minimum(torch.arange(tile).flip(0)) + 1.0
    return (distance / max(1, ramp)).clamp(max=1)
