"""Rows and summaries as data frames, the content of results.csv and summary.csv."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

from bench.core.lazy import pandas
from bench.metrics import Measure
from bench.results.records import ResultRow, RunPlan
from bench.results.remarks import remarks
from bench.results.summary import Summary

WHAT = ["dataset", "model", "objective", "train_noise", "test_noise"]
COSTS = ["parameters", "macs"]
WHOLE = ["n_images", "perfect_images", *COSTS]  # whole numbers, empty where unknown
VOLATILE = ["train_seconds", "evaluate_seconds", "latency_ms"]  # these and the next may differ between two runs
MEASURED = ["latency_spread", "peak_memory_mb", "energy_wh"]  # by `bench measure`, which not everybody runs


def results_frame(rows: Iterable[ResultRow], plan: RunPlan) -> "pandas.DataFrame":
    """results.csv: one row per cell and test noise, in the plan's order; rows still to be run are left out.

    Metrics are means over the test images, `inf` where every one is exact; `X_sd` is their standard deviation over
    images. `chosen_lr` and `fitted` are there only where validation images had something to choose, `remark` and each
    diagnostic only where a row has one.
    """
    rows = [row for row in rows if row.state != "open"]
    diagnostics = list(dict.fromkeys(name for row in rows for name in row.diagnostics))
    spread = [f"{metric.column}_sd" for metric in plan.metrics]
    measured = [metric.column for metric in plan.metrics]
    columns = ["cell", *WHAT, "seed", *_settings(plan), *plan.chosen, "n_images"]
    volatile = [*VOLATILE, *(MEASURED if any(row.latency_spread is not None for row in rows) else ())]
    columns += [*measured, *spread, "perfect_images", *COSTS, *diagnostics, *volatile, *_remark(rows), "error"]
    found = pandas.DataFrame([_result(row, plan) for row in rows], columns=columns)
    numbers = [*measured, *spread, *diagnostics, *volatile]
    return found.astype({**dict.fromkeys(WHOLE, "Int64"), **dict.fromkeys(numbers, "float64")})


def summary_frame(summaries: Iterable[Summary], plan: RunPlan) -> "pandas.DataFrame":
    """summary.csv: mean and 95 % confidence interval, one row per contender and test noise that was run.

    seeds: how many the mean is of, 0 where none plays a part. failed: how many more gave no result.
    interval_over: `seeds`, or `images` where there is one training or none: such an interval speaks of these weights.
    """
    spans = [f"{metric.column}{end}" for metric in plan.metrics for end in ("", "_low", "_high")]
    summaries = [summary for summary in summaries if summary.scored or summary.failed]
    ends = ["perfect_images", "parameters", "train_seconds", *_remark(row for s in summaries for row in s.scored)]
    columns = [*WHAT, *_settings(plan), "seeds", "failed", "interval_over", "n_images", *spans, *ends]
    found = [_summary(summary, plan) for summary in summaries]
    table = pandas.DataFrame(found, columns=columns)
    whole = dict.fromkeys(["seeds", "failed", "n_images", "parameters"], "Int64")
    return table.astype({**whole, **dict.fromkeys([*spans, "perfect_images", "train_seconds"], "float64")})


def _settings(plan: RunPlan) -> list[str]:
    """The columns of what a spec varies and, where some differ from the general settings by it, of the recipes."""
    return [*(f"train.{key}" for key in plan.varied), *(["recipe"] if plan.recipes else [])]


def _remark(rows: Iterable[ResultRow]) -> list[str]:
    """The column of what a value must not be read without, where any must not."""
    return ["remark"] if any(map(remarks, rows)) else []


def _meanings(rows: Iterable[ResultRow]) -> str:
    return "; ".join(dict.fromkeys(remark.meaning for row in rows for remark in remarks(row)))


def _what(row: ResultRow, plan: RunPlan) -> dict[str, Any]:
    contender = row.contender
    return {
        "dataset": plan.dataset,
        "model": str(contender.model),
        "objective": contender.objective,
        "train_noise": str(contender.train_noise or ""),
        "test_noise": str(row.test.label),
        **{f"train.{key}": "" if value is None else value for key, value in contender.settings},
        "recipe": plan.by_recipe(row.cell),
    }


def _result(row: ResultRow, plan: RunPlan) -> dict[str, Any]:
    return {
        "cell": row.cell.id,
        **_what(row, plan),
        "seed": "" if row.seed is None else row.seed,
        "chosen_lr": "" if row.chosen_lr is None else row.chosen_lr,
        "fitted": row.fitted,
        "n_images": row.n_images,
        **{metric.column: row.mean(metric) for metric in plan.metrics},
        **{f"{metric.column}_sd": row.deviation(metric) for metric in plan.metrics},
        "perfect_images": row.exact,
        **{key: getattr(row, key) for key in (*COSTS, *VOLATILE, *MEASURED)},
        **row.diagnostics,
        "remark": _meanings([row]),
        "error": row.error,
    }


def _summary(summary: Summary, plan: RunPlan) -> dict[str, Any]:
    return {
        **_what((*summary.scored, *summary.failed)[0], plan),
        "seeds": summary.seeds,
        "failed": len(summary.failed),
        "interval_over": summary.over or None,
        "n_images": summary.n_images,
        **{key: value for metric in plan.metrics for key, value in _span(summary, metric).items()},
        "perfect_images": summary.exact,
        "parameters": summary.parameters,
        "train_seconds": summary.train_seconds,
        "remark": _meanings(summary.scored),
    }


def _span(summary: Summary, metric: Measure) -> dict[str, float]:
    found = summary.intervals.get(metric.column)
    ends: Sequence[float] = (found.mean, found.low, found.high) if found else (math.nan,) * 3
    return {f"{metric.column}{end}": value for end, value in zip(("", "_low", "_high"), ends, strict=True)}
