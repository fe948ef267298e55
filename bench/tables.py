"""Stored results as tables: a row per cell and test noise, and their summary over seeds; CSV, Markdown, LaTeX."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.lazy import pandas
from bench.metrics import Metric, metrics
from bench.plan import Work, fingerprint, test_id
from bench.spec import Experiment
from bench.statistics import interval_over_images, interval_over_seeds
from bench.store import Store

WHAT = ["dataset", "model", "objective", "train_noise", "test_noise"]
COSTS = ["parameters", "macs"]
WHOLE = ["n_images", "perfect_images", *COSTS]  # whole numbers, empty where unknown
PROTOCOL = ("clip", "quantize", "fresh")  # keys of a noise that belong to the protocol, not to what is compared
VOLATILE = ["train_seconds", "evaluate_seconds", "latency_ms"]  # these alone may differ between two runs


def describe(experiment: Experiment, works: Sequence[Work], stand_in_for: str = "") -> dict[str, Any]:
    """What a results folder was run for, in the plan's order: all that its tables need besides the markers."""
    return {
        "name": experiment.name,
        "dataset": experiment.dataset.label(),
        "stand_in_for": stand_in_for,
        "data": works[0].cell.data,
        "metrics": [metric.node() for metric in experiment.metrics],
        "varied": [f"train.{key}" for key in experiment.varied],
        "train": experiment.node()["train"],
        "seeds": list(experiment.seeds),
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
                        "id": test_id(noise, work.cell.data),
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
    return pandas.DataFrame(rows, columns=columns(plan)).astype(dict.fromkeys(WHOLE, "Int64"))


def columns(plan: Mapping[str, Any]) -> list[str]:
    """The columns of results.csv for a plan."""
    measured = [metric.column for metric in chosen_metrics(plan)]
    spread = [f"{column}_sd" for column in measured]
    what = ["cell", *WHAT, "seed", *plan["varied"], "n_images"]
    return [*what, *measured, *spread, "perfect_images", *COSTS, *VOLATILE, "error"]


def records(store: Store, plan: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Every planned row with what is known of it: the table's columns, and done, test_id, protocol and match."""
    measured = [metric.column for metric in chosen_metrics(plan)]
    for entry in plan["cells"]:
        folder = store.cell(entry["id"])
        record = folder.record() or {}
        failure = folder.failure()
        for test in entry["tests"]:
            score = folder.score(test["id"])
            found = score or {}
            yield {
                "cell": entry["id"],
                "dataset": plan["dataset"],
                **{key: _blank(value) for key, value in entry["labels"].items()},
                **{key: _blank(value) for key, value in entry["varied"].items()},
                "test_noise": test["label"],
                "n_images": found.get("n_images"),
                **{column: found.get("means", {}).get(column) for column in measured},
                **{f"{column}_sd": found.get("deviations", {}).get(column) for column in measured},
                "perfect_images": found.get("perfect"),
                **{key: record.get(key) for key in (*COSTS, "train_seconds")},
                "evaluate_seconds": found.get("evaluate_seconds"),
                "latency_ms": found.get("latency_ms"),
                "error": "" if score else failure,
                "done": score is not None,
                "test_id": test["id"],
                "match": (entry["match"], test["match"]),
                "protocol": test["protocol"],
            }


def summary(rows: "pandas.DataFrame", chosen: Sequence[Metric], varied: Sequence[str]) -> "pandas.DataFrame":
    """Mean and 95 % interval over seeds, one row per model and test noise.

    With one seed, or none, the interval is over test images and speaks of these weights only; `interval_over` says so.
    """
    keys = [*WHAT, *varied]
    fine = rows[rows["error"] == ""]
    found = []
    for values, group in fine.groupby(keys, sort=False, dropna=False):
        seeds = len(group)
        row = dict(zip(keys, values, strict=True))
        row |= {"seeds": seeds if group["seed"].iloc[0] != "" else 0, "n_images": int(group["n_images"].iloc[0])}
        row["interval_over"] = "seeds" if seeds > 1 else "images"
        for metric in chosen:
            row |= _interval(group, metric.column)
        row["parameters"] = group["parameters"].iloc[0]
        row["train_seconds"] = group["train_seconds"].mean()
        found.append(row)
    spans = [f"{metric.column}{end}" for metric in chosen for end in ("", "_low", "_high")]
    return pandas.DataFrame(
        found, columns=[*keys, "seeds", "n_images", "interval_over", *spans, "parameters", "train_seconds"]
    )


def _interval(group: "pandas.DataFrame", column: str) -> dict[str, float]:
    means = [float(value) for value in group[column]]
    centre = math.fsum(means) / len(means)
    if len(means) > 1:
        low, high = interval_over_seeds(means)
    else:
        low, high = interval_over_images(centre, float(group[f"{column}_sd"].iloc[0]), int(group["n_images"].iloc[0]))
    return {column: centre, f"{column}_low": low, f"{column}_high": high}


def best(table: "pandas.DataFrame", metric: Metric) -> list[bool]:
    """Whether each row of a summary is the best of its test noise."""
    value = table[metric.column]
    groups = value.groupby(table["test_noise"])
    return list(value == groups.transform("max" if metric.better == "higher" else "min"))


def for_readers(
    table: "pandas.DataFrame", chosen: Sequence[Metric], varied: Sequence[str], mark: str = "**{}**"
) -> "pandas.DataFrame":
    """A summary as text, the best value of each test noise marked, half the interval's width behind each value."""
    text = pandas.DataFrame({"test noise": table["test_noise"], "model": [_who(row) for _, row in table.iterrows()]})
    text["trained on"] = [
        row["train_noise"] or ("clean images" if row["objective"] else "-") for _, row in table.iterrows()
    ]
    for key in varied:
        text[key] = table[key].astype(str)
    for metric in chosen:
        unit = f" ({metric.unit})" if metric.unit else ""
        arrow = "↑" if metric.better == "higher" else "↓"
        half = (table[f"{metric.column}_high"] - table[f"{metric.column}_low"]) / 2
        cells = [_value(value, width, metric) for value, width in zip(table[metric.column], half, strict=True)]
        marked = [mark.format(cell) if top else cell for cell, top in zip(cells, best(table, metric), strict=True)]
        text[f"{metric.title}{unit} {arrow}"] = marked
    text["seeds"] = [str(count) if count else "-" for count in table["seeds"]]
    return text.iloc[_by_test(table)]


def to_markdown(text: "pandas.DataFrame", conditions: str) -> str:
    """A table for readers in Markdown, its conditions below."""
    escaped = text.map(lambda cell: str(cell).replace("|", "\\|"))
    lines = ["| " + " | ".join(text.columns) + " |", "|" + " --- |" * len(text.columns)]
    lines += ["| " + " | ".join(row) + " |" for row in escaped.itertuples(index=False)]
    return "\n".join([*lines, "", conditions, ""])


def to_latex(text: "pandas.DataFrame", conditions: str) -> str:
    """A table for readers in LaTeX (booktabs)."""
    plain = text.rename(columns=lambda name: name.replace("↑", "$\\uparrow$").replace("↓", "$\\downarrow$"))
    body = plain.map(lambda cell: _latex(str(cell)))
    body.columns = [_latex(name) for name in body.columns]
    lines = [
        "\\begin{tabular}{" + "l" * len(body.columns) + "}",
        "\\toprule",
        " & ".join(body.columns) + r" \\",
        "\\midrule",
    ]
    lines += [" & ".join(row) + r" \\" for row in body.itertuples(index=False)]
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}", *(f"% {line}" for line in conditions.splitlines()), ""])


def _by_test(table: "pandas.DataFrame") -> list[int]:
    order = {label: position for position, label in enumerate(dict.fromkeys(table["test_noise"]))}
    return sorted(range(len(table)), key=lambda row: order[table["test_noise"].iloc[row]])


def _who(row: "pandas.Series") -> str:
    return f"{row['model']} [{row['objective']}]" if row["objective"] not in ("", "denoise") else str(row["model"])


def _value(value: float, half: float, metric: Metric) -> str:
    digits = 2 if metric.unit == "dB" else 4
    if math.isnan(value):
        return "-"
    return f"{value:.{digits}f}" if math.isnan(half) else f"{value:.{digits}f} ± {half:.{digits}f}"


def _latex(text: str) -> str:
    if text.startswith("**") and text.endswith("**"):
        return f"\\textbf{{{_latex(text[2:-2])}}}"
    for char in "&%#_{}":
        text = text.replace(char, f"\\{char}")
    return text.replace("±", "$\\pm$")


def _blank(value: Any) -> Any:
    return "" if value is None else value
