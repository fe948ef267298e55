"""The mean of a denoiser's outputs over the flips and rotations of an image, each turned back."""

from collections.abc import Iterator
from functools import reduce
from itertools import product

from bench.core.lazy import nn, torch


def restore(network: "nn.Module", images: "torch.Tensor", ensemble: int = 1) -> "torch.Tensor":
    """A network's outputs for images, averaged before they are clipped.

    images: (N, C, H, W) with any H and W. ensemble: 1 for the images as they are, 8 for the symmetries of a square: the
    four rotations of an image and those of its mirror image.
    Source: self-ensemble of Timofte et al. 2016, Seven Ways to Improve Example-Based Single Image Super Resolution.
    """
    if ensemble == 1:
        return _output(network, images)
    return (reduce(torch.add, _each_way(network, images)) / ensemble).float()


def _each_way(network: "nn.Module", images: "torch.Tensor") -> "Iterator[torch.Tensor]":
    """The outputs for each of the 8 views, turned back; in float64, so that the mean of equal ones is exact."""
    for mirrored, turns in product((False, True), range(4)):
        view = torch.rot90(images.flip(-1) if mirrored else images, turns, (-2, -1))
        output = torch.rot90(_output(network, view).double(), -turns, (-2, -1))
        yield output.flip(-1) if mirrored else output


def _output(network: "nn.Module", images: "torch.Tensor") -> "torch.Tensor":
    found: torch.Tensor = network(images.contiguous(memory_format=torch.channels_last))
    return found
