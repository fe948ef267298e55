"""Whether this machine can do what is left of a run: what is known to fail is refused before anything is written."""

import math
from collections.abc import Iterator, Sequence

from bench.core import machine
from bench.core.errors import SpecError
from bench.models import TrainableModel
from bench.results.store import Store
from bench.running.pending import pending
from bench.spec import Experiment
from bench.spec.cells import Cell, Work

VISIBLE = 0.002  # half a step of 8 bits
COPIES = 4 * 4  # bytes of a batch that no training does without: clean, noisy, output and gradient, in float32


def check(experiment: Experiment, works: Sequence[Work], store: Store, keep_stale: bool = False) -> None:
    """Raise SpecError where a cell that is not finished needs what is not here; finished ones need nothing."""
    size = experiment.dataset.size
    if not any(True for work in works for _ in (*_device(work), *_training(work, size))):
        return
    for left in pending(works, store, experiment, keep_stale):
        for why in (*_device(left.work), *(_training(left.work, size) if left.epochs else ())):
            raise SpecError(why)


def notes(experiment: Experiment, works: Sequence[Work], store: Store, keep_stale: bool = False) -> Iterator[str]:
    """What works here but hardly as it was meant."""
    most = max(train.threads for train in experiment.trainings)
    if most > 1 and most > (here := machine.cores()):  # which takes an import that one thread is spared
        yield f"note: train.threads is {most} and this machine has {here} processors: threads will wait for one another"
    models = (entry.model for entry in experiment.models)
    if any(isinstance(model, TrainableModel) and model.blind for model in models):
        yield from _clipped([left.work.cell for left in pending(works, store, experiment, keep_stale) if left.epochs])


def _clipped(cells: Sequence[Cell]) -> Iterator[str]:
    """What clipping costs those that are trained without clean images."""
    trained = [cell for cell in cells if isinstance(cell.model, TrainableModel) and cell.model.blind]
    for noise in dict.fromkeys(cell.noise for cell in trained if cell.noise and cell.noise.clip):
        if (bias := noise.bias()) > VISIBLE:
            yield (
                f"note: noise2noise and noise2void learn the mean of the corrupted images, which clipping moves by "
                f"{bias:.3f} for {noise.label()} (root mean square over values spread evenly over [0, 1]): there even "
                f"a perfect network ends at {-20 * math.log10(bias):.1f} dB. `clip: false` leaves the mean in place"
            )


def _device(work: Work) -> Iterator[str]:
    """What training and scoring lack."""
    if work.cell.train and work.cell.train.device == "cuda" and machine.device() != "cuda":
        yield (
            "train.device is cuda, and torch finds no CUDA device here: use device: auto, which takes one where there "
            "is one, or device: cpu"
        )


def _training(work: Work, size: int) -> Iterator[str]:
    """What training alone lacks."""
    train = work.cell.train
    if train is None:
        return
    on_gpu = train.device == "cuda"
    if on_gpu and train.precision == "bfloat16" and machine.precision("cuda") != "bfloat16":
        yield "train.precision is bfloat16, and this CUDA device can't compute in it: use precision: float32, or auto"
    if not on_gpu and train.compile == "on" and not machine.has_compiler():
        yield "train.compile is on, and no C++ compiler is found here: install g++ or clang, or use compile: off"
    here = machine.gpu_memory() if on_gpu else machine.memory()
    values = min(train.batch_size, work.cell.data["train"]) * 3 * size**2
    if COPIES * values > here > 0:
        yield (
            f"train.batch_size: a batch of {train.batch_size:,} images of {size} x {size} pixels takes at least "
            f"{COPIES * values / 1e9:,.1f} GB, and this machine has {here / 1e9:,.1f} GB: use a smaller batch_size"
        )
