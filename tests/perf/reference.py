"""The study's recipe run to its end: 250 epochs of Adam at a constant 1e-3, batch 64, scored on held-out images.

`python -m tests.perf.reference DIR [--threads 1]` writes `reference_250.csv`, DIR being an ImageFolder with `train` and
`test`. `make perf` reads the curve and times the seconds per epoch anew.
"""

import argparse
import csv
import io
import os
import platform
from pathlib import Path

import torch

from bench.core.machine import cores, environment
from bench.datasets import datasets
from bench.metrics import metrics
from bench.noises import noises
from bench.training.score import score
from tests.perf import script

CURVE = Path(__file__).with_name("reference_250.csv")
EPOCHS = 250
SCORED_EVERY = 5
LAST = 10  # every one of the last epochs is scored: a constant learning rate leaves them scattered


def curve() -> tuple[str, list[tuple[int, float, float]]]:
    """The committed curve's conditions, and epoch, training loss and PSNR in dB of every scored epoch."""
    head, _, body = CURVE.read_text(encoding="utf-8").partition("\n")
    rows = csv.DictReader(io.StringIO(body))
    return head.removeprefix("# "), [(int(r["epoch"]), float(r["train_loss"]), float(r["psnr"])) for r in rows]


def target() -> float:
    """The PSNR that the recipe ends with: the mean over its last epochs, which differ by some hundredths of a dB."""
    last = [psnr for epoch, _, psnr in curve()[1] if epoch > EPOCHS - LAST]
    return sum(last) / len(last)


def run(root: Path, threads: int, epochs: int) -> None:
    """Train, score and write the curve."""
    torch.manual_seed(0)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # weight decay wears weights of dead units down, and such numbers are slow
    held_out = datasets.parse({"folder": {"root": str(root), "size": script.SIZE, "validation": 0}}).load()
    noise, psnr = noises.parse({"gaussian": {"sigma": script.SIGMA}}), metrics.parse("psnr")
    pictures = script.Pictures(root, "train")
    network = script.network()
    running = script.train(network, script.loader(pictures, 0))
    rows = []
    for epoch in range(1, epochs + 1):
        loss, seconds = next(running)
        if epoch % SCORED_EVERY and epoch not in (1, *range(epochs - LAST + 1, epochs + 1)):
            continue
        quality = score(network.eval(), held_out, noise, [psnr]).values["psnr"].mean()
        rows.append(f"{epoch},{loss:.7f},{quality:.4f}")
        print(f"epoch {epoch}/{epochs}: loss {loss:.6f}, PSNR {quality:.3f} dB, {seconds:.1f} s", flush=True)
    said = _conditions(root.name, len(pictures), len(held_out.test), threads)
    CURVE.write_text("\n".join([f"# {said}", "epoch,train_loss,psnr", *rows]) + "\n", encoding="utf-8")


def _conditions(name: str, trained: int, tested: int, threads: int) -> str:
    found = environment()
    return (
        f"tests/perf/script.py on {name}: {trained:,} training images at {script.SIZE}x{script.SIZE}, gaussian sigma "
        f"{script.SIGMA} clipped to [0, 1], Adam lr 1e-3 weight decay 1e-5, batch {script.BATCH}, constant schedule, "
        f"seed 0, float32, denormal numbers flushed to 0, threads: {threads}; PSNR: mean of {tested} test images under "
        f"noise-bench's test noise; torch {found['libraries']['torch']}, Python {platform.python_version()}, "
        f"{found['cpu']}, {cores()} cores"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    run(given.data, given.threads, given.epochs)


if __name__ == "__main__":
    main()
