"""The complexity of a model: parameters, multiply-accumulates, and its layers."""

from dataclasses import dataclass

from bench.core.lazy import flop_counter, nn, torch
from bench.models.base import Model


@dataclass(frozen=True)
class Complexity:
    """The size of a model and the work of one forward pass.

    parameters: numbers in its weights, trained or given.
    macs: multiply-accumulates per image, half of torch's count of FLOPs; None without parameters.
    """

    parameters: int
    macs: int | None


@dataclass(frozen=True)
class Layer:
    """One layer of a network: its dotted name, type, output shape of one image and number of parameters."""

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int


def complexity(model: Model, size: int) -> Complexity:
    """Parameters and multiply-accumulates of a model at images of (3, size, size)."""
    network = _built(model, size)
    parameters = _parameters(network)
    if not parameters:
        return Complexity(0, None)
    with torch.inference_mode(), flop_counter.FlopCounterMode(display=False) as counter:
        network(torch.zeros(1, 3, size, size))
    return Complexity(parameters, counter.get_total_flops() // 2)


def layers(model: Model, size: int) -> list[Layer]:
    """The layers of a model in the order in which an image of (3, size, size) passes through them."""
    network = _built(model, size)
    found: list[Layer] = []

    def watch(name: str, layer: nn.Module) -> None:
        def note(module: nn.Module, inputs: object, output: "torch.Tensor") -> None:
            found.append(Layer(name, type(module).__name__, tuple(output.shape[1:]), _parameters(module)))

        layer.register_forward_hook(note)

    for name, layer in network.named_modules():
        if not list(layer.children()):
            watch(name, layer)
    with torch.inference_mode():
        network(torch.zeros(1, 3, size, size))
    return found


def _built(model: Model, size: int) -> "nn.Module":
    with torch.random.fork_rng(devices=[]):  # building draws weights, and callers may be drawing too
        return model.build(size).eval()


def _parameters(network: "nn.Module") -> int:
    return sum(parameter.numel() for parameter in network.parameters())
