"""Summaries as tables for people: text and Markdown."""

import math
from collections.abc import Sequence

from bench.core.lazy import pandas
from bench.metrics import Measure, half_text
from bench.results.ranking import counted_text, rank
from bench.results.records import RunPlan
from bench.results.remarks import marks
from bench.results.summary import Summary

ARROWS = {"higher": "↑", "lower": "↓"}

Marks = tuple[str, str]  # how a value is written that is the best, and one that can't be told from it
MARKDOWN: Marks = ("**{}**", "*{}*")


def for_readers(summaries: Sequence[Summary], plan: RunPlan, written: Marks = MARKDOWN) -> "pandas.DataFrame":
    """Summaries as text, sorted by test noise, its best values marked, half the interval's width behind each value.

    written: the marks. What failed or is still to be run says so in place of its values.
    """
    order = {test.id: position for position, test in enumerate(plan.tests)}
    ordered = sorted(summaries, key=lambda summary: order[summary.test.id])
    text = pandas.DataFrame({"test noise": [str(summary.test.label) for summary in ordered]})
    text["model"] = [summary.contender.title for summary in ordered]
    text["trained on"] = [summary.contender.trained_on or "-" for summary in ordered]
    for position, key in enumerate(plan.varied):
        values = [summary.contender.settings[position][1] for summary in ordered]
        text[f"train.{key}"] = ["" if value is None else str(value) for value in values]
    for heading, metric in zip(headings(plan.metrics), plan.metrics, strict=True):
        text[heading] = marked_column(ordered, metric, written)
        counted = [counted_text(summary.counts(metric), metric) for summary in ordered]
        if any(counted):
            text[f"exact ({metric.title})"] = counted
    text["seeds"] = list(map(_seeds, ordered))
    return text


def headings(metrics: Sequence[Measure]) -> list[str]:
    """What the columns of metrics are headed: a title that two of them share says nothing, so their columns then do."""
    titles = [metric.heading for metric in metrics]
    names = [
        title if titles.count(title) == 1 else metric.column for title, metric in zip(titles, metrics, strict=True)
    ]
    return [f"{name} {ARROWS[metric.better]}" for name, metric in zip(names, metrics, strict=True)]


def marked_column(summaries: Sequence[Summary], metric: Measure, written: Marks = MARKDOWN) -> list[str]:
    """A metric of summaries as text: marked are the best of each test noise, its ties, and what has a remark."""
    means = [summary.mean(metric) for summary in summaries]
    rankings = rank(summaries, metric).values()
    marked = {summary: written[0] for ranking in rankings for summary in ranking.ahead}
    marked |= {summary: written[1] for ranking in rankings for summary in ranking.tied}
    return [marked.get(summary, "{}").format(_cell(summary, metric, means)) for summary in summaries]


def _cell(summary: Summary, metric: Measure, among: Sequence[float]) -> str:
    if empty := summary.why_empty(metric):
        return empty
    interval = summary.intervals[metric.column]
    value = metric.format(interval.mean, among)
    half = "" if math.isnan(interval.half) else f" ± {half_text(interval.half, metric.shown_decimals(among))}"
    return value + half + marks(summary.scored)


def _seeds(summary: Summary) -> str:
    trained = summary.contender.trained
    parts = [str(summary.seeds)] if summary.seeds or (summary.open and trained) else []
    parts += [f"{len(summary.failed)} failed"] if summary.failed else []
    parts += [f"{len(summary.open)} to run"] if summary.open and trained else []
    return ", ".join(parts) or "-"


def to_markdown(text: "pandas.DataFrame", conditions: str) -> str:
    """A table for readers in Markdown, its conditions below."""
    rows = [list(text.columns), ["---"] * len(text.columns), *text.itertuples(index=False)]
    lines = ["| " + " | ".join(_markdown(str(cell)) for cell in row) + " |" for row in rows]
    return "\n".join([*lines, "", conditions.replace("<", "&lt;"), ""])


def _markdown(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
