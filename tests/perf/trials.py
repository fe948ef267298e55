"""Equal effort: as many trials for one network as for another, quasi-random, from one declared space.

`python -m tests.perf.trials > trials.yaml` writes the spec that `bench run` trains, scored on validation images alone;
`python -m tests.perf.trials RESULTS` prints the table. As in AlgoPerf (Dahl et al. 2023, arXiv:2306.07179) a study is
five trials, and a network's figure is the median over three studies of each one's best.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from scipy.stats import qmc

from bench.results.records import Contender, ResultRow
from bench.results.rows import read_rows
from bench.results.store import Store

STUDIES, TRIALS = 3, 5
SPACE = {"muon_lr": (0.005, 0.05), "lr": (5e-4, 5e-3)}  # both logarithmic
BATCHES = (16, 32)
KEYS = (*SPACE, "batch_size")

# Training images of each trial: about 30 CPU seconds of one core that computes in bfloat16.
IMAGES = {"res_unet": 16_000, "unet": 25_000, "dncnn": 17_000, "nafnet": 5000}


def study(number: int) -> Iterator[dict[str, Any]]:
    """The settings of one study's trials, the same for every network."""
    low, high = zip(*SPACE.values(), strict=True)
    for point in qmc.Halton(len(SPACE) + 1, rng=number).random(TRIALS):
        found = {
            key: float(f"{least * (most / least) ** place:.3g}")
            for key, least, most, place in zip(SPACE, low, high, point, strict=False)
        }
        yield {**found, "batch_size": BATCHES[int(point[-1] * len(BATCHES))]}


def spec() -> dict[str, Any]:
    """Every trial of every network, and each by its recipe as it is."""
    settings = [{}, *(trial for number in range(STUDIES) for trial in study(number))]
    return {
        "name": "trials",
        "dataset": {"name": "cifar10", "part": "exact", "validation": 0.1},
        "models": [
            {name: {"train": {**trial, "images": images}}} for name, images in IMAGES.items() for trial in settings
        ],
        "noises": [{"gaussian": {"sigma": 0.1}}],
        "test_noises": [{"gaussian": {"sigma": 0.1, "split": "validation"}}],
        "train": {"keep": "last"},
        "metrics": ["psnr"],
        "seeds": [0],
    }


def table(folder: Path) -> str:
    """What each network came to, in Markdown."""
    store = Store(folder)
    rows = {_key(row.contender): row for row in read_rows(store, store.plan()) if row.state == "scored"}
    text = ["| | recipe | best of each study | median | its settings | images a trial | seconds, all trials |"]
    text += ["| --- | ---: | --- | ---: | --- | ---: | ---: |"]
    for name, images in IMAGES.items():
        tried = [[rows[name, *trial.values()] for trial in study(number)] for number in range(STUDIES)]
        best = sorted((max(trials, key=_psnr) for trials in tried), key=_psnr)
        middle = best[STUDIES // 2]
        found = ", ".join(f"{_psnr(row):.2f}" for row in best)
        settings = ", ".join(f"{key} {value}" for key, value in zip(KEYS, _key(middle.contender)[1:], strict=True))
        seconds = sum(row.train_seconds or 0 for trials in tried for row in trials)
        text.append(
            f"| {name} | {_psnr(rows[name, *[None] * len(KEYS)]):.2f} | {found} "
            f"| {_psnr(middle):.2f} | {settings} | {images:,} | {seconds:,.0f} |"
        )
    return "\n".join(text) + "\n"


def _key(contender: Contender) -> tuple[Any, ...]:
    """A network and the settings of its trial, None where its recipe gives them."""
    given = dict(contender.settings)
    return contender.model.name, *(given[key] for key in KEYS)


def _psnr(row: ResultRow) -> float:
    return row.averages["psnr"].mean


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, nargs="?")
    given = parser.parse_args()
    print(table(given.results) if given.results else yaml.safe_dump(spec(), sort_keys=False), end="")


if __name__ == "__main__":
    main()
