"""The vector-quantised autoencoder: its code consists of entries of a learnt codebook."""

from dataclasses import dataclass
from typing import Annotated, cast

from annotated_types import Ge, Le, Lt

from bench.core.lazy import functional, nn, torch
from bench.core.rng import Draw
from bench.models._codes import by_unit, effective_dimension
from bench.models.base import NonNegative, TrainableModel, Width, by_muon, layers, models

MULTIPLE = 4  # what sides must be multiples of, to be halved twice and doubled back
BLOCKS = 2
VALUES = 8  # of an entry


@models.register("vq_vae")
@dataclass(frozen=True)
class VQVAE(TrainableModel):
    """VQ-VAE: each position of a convolutional code is replaced by the nearest entry of a codebook.

    The paper's layers: two convolutions of stride 2, two residual blocks, and the same backwards; with GELU for ReLU,
    and a sigmoid at the end. Codes are vectors of 8 values and of one length: otherwise they grow, and with them their
    distance from the entries.
    width: half the channels of the first layer, a quarter of those of the others.
    entries: size of the codebook, 2 to 65536; a position carries log2(entries) bits.
    commitment: weight of the squared distance between code and entries relative to the mean squared error, >= 0, in
        training; the checkpoint is chosen by the error alone. More of it leaves the code fewer directions to vary in.
    decay: of the moving averages that update the codebook, per batch, in [0, 1); the paper's 0.99 leaves most entries
        unused in trainings this short.
    Gradients pass the quantisation unchanged (straight-through).
    Source: van den Oord et al. 2017, Neural Discrete Representation Learning, arXiv:1711.00937;
    few values and one length: Yu et al. 2022, arXiv:2110.04627.
    """

    revision = 3
    recipe = by_muon(0.02)
    width: Width = 16
    entries: Annotated[int, Ge(2), Le(65536)] = 256
    commitment: NonNegative = 0.1
    decay: Annotated[float, Ge(0), Lt(1)] = 0.9

    @property
    def multiple(self) -> int:
        return MULTIPLE

    def build(self, size: int) -> "nn.Module":
        quantizer = layers.VectorQuantizer(self.entries, VALUES, self.decay)
        return layers.Quantized(_encoder(self.width), quantizer, _decoder(self.width))

    def loss(self, network: "nn.Module", inputs: "torch.Tensor", targets: "torch.Tensor", draw: Draw) -> "torch.Tensor":
        parts = cast("layers.Quantized", network)
        code = parts.encoder(inputs).float()
        if network.training:
            parts.quantizer.learn(code, draw.uniform((1, *code.shape[2:])))
        entries = parts.quantizer(code)
        passed = code + (entries - code).detach()
        error = functional.mse_loss(parts.decoder(passed).float(), targets)
        return error + self.commitment * functional.mse_loss(code, entries) if network.training else error

    def diagnose(self, network: "nn.Module", images: "torch.Tensor", draw: Draw) -> dict[str, float]:
        parts = cast("layers.Quantized", network)
        book = parts.quantizer.codebook
        with torch.no_grad():
            chosen = parts.quantizer.nearest(by_unit(parts.encoder(images)).T)
        shares = torch.bincount(chosen, minlength=len(book)).double() / len(chosen)
        return {
            "units": book.shape[1],
            "dead_entries": int((shares == 0).sum()),
            "perplexity": float(torch.special.entr(shares).sum().exp()),
            "effective_dimension": effective_dimension(book[chosen]),
        }


def _encoder(width: int) -> "nn.Sequential":
    """(N, 3, S, S) images to a (N, VALUES, S/4, S/4) code."""
    return nn.Sequential(
        nn.Conv2d(3, 2 * width, 4, stride=2, padding=1),
        nn.GELU(),
        nn.Conv2d(2 * width, 4 * width, 4, stride=2, padding=1),
        *(_block(4 * width) for _ in range(BLOCKS)),
        nn.GELU(),
        nn.Conv2d(4 * width, VALUES, 1),
        layers.Sphere(),
    )


def _decoder(width: int) -> "nn.Sequential":
    """A (N, VALUES, S/4, S/4) code back to (N, 3, S, S) images in [0, 1]."""
    return nn.Sequential(
        nn.Conv2d(VALUES, 4 * width, 3, padding=1),
        *(_block(4 * width) for _ in range(BLOCKS)),
        nn.GELU(),
        layers.ConvTranspose2d(4 * width, 2 * width, 4, stride=2, padding=1),
        nn.GELU(),
        layers.ConvTranspose2d(2 * width, 3, 4, stride=2, padding=1),
        nn.Sigmoid(),
    )


def _block(channels: int) -> "nn.Module":
    inner = nn.Conv2d(channels, channels, 3, padding=1), nn.GELU(), nn.Conv2d(channels, channels, 1)
    return layers.Residual(nn.Sequential(nn.GELU(), *inner))
