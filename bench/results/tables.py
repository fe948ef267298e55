"""Stored results as tables: a row per cell and test noise, and their summary over seeds; CSV, Markdown, LaTeX."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.core.lazy import pandas
from bench.metrics import Metric, metrics
from bench.results.statistics import interval_over_images, interval_over_seeds
from bench.results.store import Store
from bench.spec import Experiment
from bench.spec.cells import Work, title
from bench.spec.protocol import fingerprint, score_id

WHAT = ["dataset", "model", "objective", "train_noise", "test_noise"]
COSTS = ["parameters", "macs"]
WHOLE = ["n_images", "perfect_images", *COSTS]  # whole numbers, empty where unknown
PROTOCOL = ("clip", "quantize", "fresh")  # keys of a noise that belong to the protocol, not to what is compared
VOLATILE = ["train_seconds", "evaluate_seconds", "latency_ms"]  # these alone may differ between two runs


def describe(experiment: Experiment, works: Sequence[Work], stand_in_for: str = "") -> dict[str, Any]:
    """What a results folder was run for, in the plan's order: all that its tables need besides the markers."""
    return {
        "name": experiment.name,
        "dataset": experiment.dataset.label() + (f" (stand-in for {stand_in_for})" if stand_in_for else ""),
        "stand_in_for": stand_in_for,
        "data": works[0].cell.data,
        "metrics": [metric.node() for metric in experiment.metrics],
        "varied": [f"train.{key}" for key in experiment.varied],
        "train": experiment.node()["train"],
        "seeds": list(experiment.seeds),
        "chosen": [
            *(["chosen_lr"] if any(work.cell.trials() for work in works) else []),
            *(["fitted"] if any(work.cell.model.fits for work in works) else []),
        ],
        "cells": [
            {
                "id": work.cell.id,
                "labels": work.cell.labels(),
                "varied": {
                    f"train.{key}": getattr(work.cell.train, key) if work.cell.train else None
                    for key in experiment.varied
                },
                "match": work.cell.noise.label(without=PROTOCOL) if work.cell.noise else "",
                "tests": [
                    {
                        "id": score_id(noise, work.cell.data),
                        "label": noise.label(),
                        "match": noise.label(without=PROTOCOL),
                        "protocol": fingerprint(noise, work.cell.data),
                    }
                    for noise in work.tests
                ],
            }
            for work in works
        ],
    }


def chosen_metrics(plan: Mapping[str, Any]) -> list[Metric]:
    """The metrics that a folder was run for."""
    return [metrics.parse(node) for node in plan["metrics"]]


def results(store: Store) -> "pandas.DataFrame":
    """One row per cell and test noise, in the plan's order; rows not yet run are left out, failed ones say why.

    Columns: see `columns`. Metrics are means over the test images; `X_sd` is their standard deviation over images.
    """
    plan = store.plan()
    rows = [row for row in records(store, plan) if row["done"] or row["error"]]
    found = pandas.DataFrame(rows, columns=columns(plan))
    measured = [metric.column for metric in chosen_metrics(plan)]
    numbers = [*measured, *(f"{column}_sd" for column in measured), *VOLATILE]
    return found.astype({**dict.fromkeys(WHOLE, "Int64"), **dict.fromkeys(numbers, "float64")})


def planned(plan: Mapping[str, Any]) -> int:
    """How many rows a finished run has."""
    return sum(len(entry["tests"]) for entry in plan["cells"])


def columns(plan: Mapping[str, Any]) -> list[str]:
    """The columns of results.csv for a plan; `chosen_lr` and `fitted` only where validation has something to choose."""
    measured = [metric.column for metric in chosen_metrics(plan)]
    spread = [f"{column}_sd" for column in measured]
    what = ["cell", *WHAT, "seed", *plan["varied"], *plan["chosen"], "n_images"]
    return [*what, *measured, *spread, "perfect_images", *COSTS, *VOLATILE, "error"]


def records(store: Store, plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every planned row with what is known of it: the table's columns, and done, test_id, varied, match, protocol."""
    measured = [metric.column for metric in chosen_metrics(plan)]
    for entry in plan["cells"]:
        folder = store.cell(entry["id"])
        record = folder.record() or {}
        for test in entry["tests"]:
            score = folder.score(test["id"])
            found = score or {}
            yield {
                "cell": entry["id"],
                "dataset": plan["dataset"],
                **{key: _blank(value) for key, value in entry["labels"].items()},
                **{key: _blank(value) for key, value in entry["varied"].items()},
                "test_noise": test["label"],
                "chosen_lr": record.get("lr", ""),
                "fitted": found.get("fitted", ""),
                "n_images": found.get("n_images"),
                **{column: found.get("means", {}).get(column) for column in measured},
                **{f"{column}_sd": found.get("deviations", {}).get(column) for column in measured},
                "perfect_images": found.get("perfect"),
                **{key: record.get(key) for key in (*COSTS, "train_seconds")},
                "evaluate_seconds": found.get("evaluate_seconds"),
                "latency_ms": found.get("latency_ms"),
                "error": "" if score else folder.failure(test["id"]),
                "done": score is not None,
                "test_id": test["id"],
                "varied": entry["varied"],
                "match": (entry["match"], test["match"]),
                "protocol": test["protocol"],
            }


def summary(rows: "pandas.DataFrame", chosen: Sequence[Metric], varied: Sequence[str]) -> "pandas.DataFrame":
    """Mean and 95 % interval over seeds, one row per model and test noise.

    With one seed, or none, the interval is over test images and speaks of these weights only; `interval_over` says so.
    seeds: how many the mean is of, 0 where none plays a part. failed: how many more gave no result.
    """
    keys = [*WHAT, *varied]
    spans = [f"{metric.column}{end}" for metric in chosen for end in ("", "_low", "_high")]
    found = []
    for values, group in rows.groupby(keys, sort=False, dropna=False):
        fine = group[group["error"] == ""]
        row = {
            **dict(zip(keys, values, strict=True)),
            "seeds": len(fine) if group["seed"].iloc[0] != "" else 0,
            "failed": len(group) - len(fine),
        }
        if len(fine):
            row |= {"interval_over": "seeds" if len(fine) > 1 else "images", "n_images": fine["n_images"].iloc[0]}
            row |= {"perfect_images": fine["perfect_images"].mean(), "parameters": fine["parameters"].iloc[0]}
            row |= {"train_seconds": fine["train_seconds"].mean()}
            for metric in chosen:
                row |= _interval(fine, metric.column)
        found.append(row)
    ends = ["perfect_images", "parameters", "train_seconds"]
    table = pandas.DataFrame(found, columns=[*keys, "seeds", "failed", "interval_over", "n_images", *spans, *ends])
    whole = dict.fromkeys(["seeds", "failed", "n_images", "parameters"], "Int64")
    return table.astype({**whole, **dict.fromkeys([*spans, "perfect_images", "train_seconds"], "float64")})


def _interval(group: "pandas.DataFrame", column: str) -> dict[str, float]:
    means = [float(value) for value in group[column]]
    centre = math.fsum(means) / len(means)
    if len(means) > 1:
        low, high = interval_over_seeds(means)
    else:
        low, high = interval_over_images(centre, float(group[f"{column}_sd"].iloc[0]), int(group["n_images"].iloc[0]))
    return {column: centre, f"{column}_low": low, f"{column}_high": high}


def best(table: "pandas.DataFrame", metric: Metric) -> list[bool]:
    """Whether each row of a summary is the best of its test noise, as far as the digits that are shown tell."""
    sign = 1 if metric.better == "higher" else -1
    value = (sign * table[metric.column].round(_decimals(table, metric))).mask(_perfect(table, metric), math.inf)
    return list(value == value.groupby(table["test_noise"]).transform("max"))


def for_readers(
    table: "pandas.DataFrame", chosen: Sequence[Metric], varied: Sequence[str], mark: str = "**{}**"
) -> "pandas.DataFrame":
    """A summary as text, the best value of each test noise marked, half the interval's width behind each value."""
    text = pandas.DataFrame(
        {"test noise": table["test_noise"], "model": list(map(title, table["model"], table["objective"]))}
    )
    text["trained on"] = [
        row["train_noise"] or ("clean images" if row["objective"] else "-") for _, row in table.iterrows()
    ]
    for key in varied:
        text[key] = table[key].astype(str)
    for metric in chosen:
        unit = f" ({metric.unit})" if metric.unit else ""
        arrow = "↑" if metric.better == "higher" else "↓"
        cells = zip(_shown(table, metric), best(table, metric), strict=True)
        text[f"{metric.title}{unit} {arrow}"] = [mark.format(cell) if top else cell for cell, top in cells]
    text["seeds"] = [_seeds(*counts) for counts in zip(table["seeds"], table["failed"], strict=True)]
    return text.iloc[_by_test(table)]


def to_markdown(text: "pandas.DataFrame", conditions: str) -> str:
    """A table for readers in Markdown, its conditions below."""
    rows = [list(text.columns), ["---"] * len(text.columns), *text.itertuples(index=False)]
    lines = ["| " + " | ".join(_markdown(str(cell)) for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", conditions, ""])


def to_latex(text: "pandas.DataFrame", conditions: str) -> str:
    """A table for readers in LaTeX (booktabs), its conditions in comments."""
    head, *body = [
        " & ".join(_latex(str(cell)) for cell in row) + r" \\"
        for row in [list(text.columns), *text.itertuples(index=False)]
    ]
    lines = ["\\begin{tabular}{" + "l" * len(text.columns) + "}", "\\toprule", head, "\\midrule", *body]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", *(f"% {line}" for line in conditions.splitlines()), ""])


def _by_test(table: "pandas.DataFrame") -> list[int]:
    order = {label: position for position, label in enumerate(dict.fromkeys(table["test_noise"]))}
    return sorted(range(len(table)), key=lambda row: order[table["test_noise"].iloc[row]])


def _seeds(seeds: int, failed: int) -> str:
    count = str(seeds) if seeds or failed else "-"
    return f"{count}, {failed} failed" if failed else count


def _perfect(table: "pandas.DataFrame", metric: Metric) -> "pandas.Series":
    """Where every image is perfect, so that the metric has no finite mean."""
    perfect = table[metric.column].isna() & (table["perfect_images"] == table["n_images"])
    return perfect.fillna(False).astype(bool)


def _shown(table: "pandas.DataFrame", metric: Metric) -> list[str]:
    """Each value of a summary and half the width of its interval, to the digits that tell rows apart."""
    digits = _decimals(table, metric)
    half = (table[f"{metric.column}_high"] - table[f"{metric.column}_low"]) / 2
    cells = zip(table[metric.column], half, _perfect(table, metric), table["n_images"].isna(), strict=True)
    return [
        "perfect" if perfect else "failed" if failed else _number(value, width, digits)
        for value, width, perfect, failed in cells
    ]


def _number(value: float, half: float, digits: int) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:.{digits}f}" if math.isnan(half) else f"{value:.{digits}f} ± {half:.{digits}f}"


def _decimals(table: "pandas.DataFrame", metric: Metric) -> int:
    """Two for decibels; else as many as give the smallest value three digits, four to eight."""
    sizes = table[metric.column].abs()
    smallest = sizes[sizes > 0].min()
    if metric.unit == "dB" or math.isnan(smallest):
        return 2
    return min(8, max(4, 2 - math.floor(math.log10(smallest))))


def _markdown(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


LATEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
}


def _latex(text: str) -> str:
    if text.startswith("**") and text.endswith("**"):
        return f"\\textbf{{{_latex(text[2:-2])}}}"
    return "".join(LATEX.get(char, char) for char in " ".join(text.split()))


def _blank(value: Any) -> Any:
    return "" if value is None else value
