"""From rows of results to what a figure draws: who competes, means over seeds, what is missing."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from bench.core.lazy import pandas
from bench.report.figures.names import short
from bench.results.statistics import interval_over_images, interval_over_seeds

TEXTS = ("cell", "dataset", "model", "objective", "train_noise", "test_noise", "error")


def cleaned(rows: "pandas.DataFrame") -> "pandas.DataFrame":
    """A copy whose text columns are all there and hold text: a CSV's empty fields come back as NaN."""
    rows = rows.copy()
    for column in TEXTS:
        rows[column] = rows[column].fillna("").astype(str) if column in rows else ""
    return rows


def crossed(rows: "pandas.DataFrame") -> bool:
    """Whether some model meets a noise it wasn't trained on; then who trained on what matters."""
    met = (rows["train_noise"] != "") & (rows["test_noise"] != "")
    return bool((met & (rows["train_noise"] != rows["test_noise"])).any())


def contenders(rows: "pandas.DataFrame", by_train_noise: bool | None = None) -> "pandas.Series":
    """Who each row is about, in few words: model, objective, what it was trained on, and what else varies.

    rows: cleaned rows of results.csv, or of the histories. by_train_noise: whether models that were trained on
    different noises are different contenders; unless given, they are where a model meets noises foreign to it.
    """
    models = short(rows["model"].unique())
    noises = short(rows.loc[rows["train_noise"] != "", "train_noise"].unique(), keep=1)
    cross = crossed(rows) if by_train_noise is None else by_train_noise
    extra = [key for key in rows.columns if key.startswith("train.")]
    extra += ["dataset"] if rows["dataset"].nunique() > 1 else []
    keys = [key.removeprefix("train.") for key in extra]

    def name(model: str, objective: str, trained_on: str, *settings: Any) -> str:
        parts = [models[model]]
        parts += [objective] if objective not in ("", "denoise") else []
        parts += [f"trained on {noises[trained_on]}"] if cross and trained_on else []
        parts += [f"{key}={text}" for key, text in zip(keys, map(_plain, settings), strict=True) if text]
        return ", ".join(parts)

    columns = [rows[column] for column in ("model", "objective", "train_noise", *extra)]
    return pandas.Series([name(*row) for row in zip(*columns, strict=True)], index=rows.index, dtype=object)


def _plain(value: Any) -> str:
    """A setting as text, empty where the row has none."""
    if value is None or pandas.isna(value):
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def over_seeds(rows: "pandas.DataFrame", column: str) -> "pandas.DataFrame":
    """One row per contender and test noise, in the rows' order: mean, half, n, parameters.

    rows: cleaned. Values that aren't finite are left out. half: half the width of the 95 % interval around the mean:
    over seeds (NaN for one) where anything was run with several, otherwise over images, never a mixture.
    """
    table = pandas.DataFrame(
        {
            "contender": contenders(rows),
            "test_noise": rows["test_noise"],
            "value": _numbers(rows, column),
            "deviation": _numbers(rows, f"{column}_sd"),
            "images": _numbers(rows, "n_images"),
            "parameters": _numbers(rows, "parameters"),
        }
    )
    groups = table[np.isfinite(table["value"])].groupby(["contender", "test_noise"], sort=False)
    several = bool((groups.size() > 1).any())
    found = [
        {
            "contender": contender,
            "test_noise": noise,
            "mean": float(group["value"].mean()),
            "half": _over_seeds(group) if several else _over_images(group),
            "n": len(group),
            "parameters": float(group["parameters"].iloc[0]),
        }
        for (contender, noise), group in groups
    ]
    return pandas.DataFrame(found, columns=["contender", "test_noise", "mean", "half", "n", "parameters"])


def _over_seeds(group: "pandas.DataFrame") -> float:
    low, high = interval_over_seeds(group["value"].tolist())
    return (high - low) / 2


def _over_images(group: "pandas.DataFrame") -> float:
    value, deviation, images = group[["value", "deviation", "images"]].iloc[0]
    if not (np.isfinite(deviation) and images > 0):
        return math.nan
    low, high = interval_over_images(value, deviation, int(images))
    return (high - low) / 2


def _numbers(rows: "pandas.DataFrame", column: str) -> "pandas.Series":
    given = rows[column] if column in rows else pandas.Series(np.nan, index=rows.index)
    return pandas.to_numeric(given, errors="coerce").astype(float)


def ends(table: "pandas.DataFrame") -> "np.ndarray":
    """Where the points and their error bars reach."""
    half = table["half"].fillna(0)
    return np.concatenate([table["mean"], table["mean"] - half, table["mean"] + half])


def tested(rows: "pandas.DataFrame", table: "pandas.DataFrame") -> list[str]:
    """The test noises that the table has, in the rows' order: a failed row doesn't change it."""
    present = set(table["test_noise"])
    return [noise for noise in rows["test_noise"].unique() if noise in present]


def in_order(rows: "pandas.DataFrame", names: "pandas.Series") -> tuple[list[str], list[str]]:
    """The contenders with an objective and those without, each in the rows' order."""
    trained = rows["objective"] != ""
    return list(names[trained].unique()), list(names[~trained].unique())


def remarks(rows: "pandas.DataFrame", column: str, bars: bool = True) -> list[str]:
    """What a reader must know about the rows: seeds, who met what, what is missing. bars: there are error bars."""
    finite = np.isfinite(_numbers(rows, column))
    fine, broken = rows[finite], rows["error"] != ""
    trained = fine[fine["objective"] != ""]
    notes = [_seeds(trained["seed"].nunique(), bars, f"{column}_sd" in rows)] if len(trained) else []
    if (trained["train_noise"] != "").any() and not crossed(fine):
        notes.append("Models trained to denoise meet the noise they were trained on.")
    if broken.any():
        notes.append(f"{_count(rows.loc[broken, 'cell'].nunique(), 'cell')} failed and left out; results.csv says why.")
    odd = int((~finite & ~broken).sum())
    if odd:
        notes.append(f"{_count(odd, 'value')} not finite or not measured.")
    return [" ".join(notes)]


def first_few(names: Iterable[str], limit: int, what: str) -> tuple[list[str], list[str]]:
    """The first `limit` names, and a note where there are more."""
    given = list(names)
    note = [f"The first {limit} of {len(given)} {what} are shown."] if len(given) > limit else []
    return given[:limit], note


def _seeds(seeds: int, bars: bool, spread_known: bool) -> str:
    if seeds > 1:
        return f"Mean over {seeds} seeds{', error bars: its 95 % interval' if bars else ''}."
    over = "error bars are 95 % intervals over test images; " if bars and spread_known else ""
    return f"One seed: {over}this is about these weights, not yet about the methods."


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
