"""What the numbers of a results folder hold for, in sentences."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.labels import Label
from bench.core.words import counted
from bench.metrics import Measure
from bench.results.names import contender_names, crossed, short_noises
from bench.results.ranking import disputes, marking
from bench.results.records import Contender, ResultRow, RunPlan, setting, setting_value
from bench.results.remarks import notes, remarks
from bench.results.summary import Summary

NAMED = 6  # damaged files, and test noises without a single best; the others are counted
UNSAID = ("threads", "device", "keep")  # settings of training that no reader needs beside a number


@dataclass(frozen=True)
class Conditions:
    """What the numbers hold for.

    stand_in_for: the dataset that was asked for where other images stand in for it, or empty.
    text: all but that and what follows. signs: what the signs and marks beside numbers mean. named: where there are
    none of them, which rows must not be read without a remark. missing: which rows the tables lack. Each may be empty.
    """

    stand_in_for: str
    text: str
    signs: str = ""
    named: str = ""
    missing: str = ""

    @property
    def banner(self) -> str:
        """What must be shown loudly, or nothing."""
        return f"STAND-IN IMAGES, not {self.stand_in_for}" if self.stand_in_for else ""

    @property
    def of_figures(self) -> str:
        """For a figure, which shows neither signs nor marks."""
        return self._joined(self.text, self.named, self.missing)

    def __str__(self) -> str:
        return self._joined(self.text, self.signs, self.missing)

    def _joined(self, *parts: str) -> str:
        return " ".join(filter(None, (f"{self.banner}." if self.banner else "", *parts)))


def conditions(
    plan: RunPlan, environment: Mapping[str, Any], rows: Sequence[ResultRow], summaries: Sequence[Summary]
) -> Conditions:
    """The conditions of a folder's numbers. environment: environment.json."""
    data = plan.data
    torch_version = environment.get("libraries", {}).get("torch")
    version = environment.get("noise-bench") or environment.get("git_commit")
    text = (
        f"Data: {plan.dataset}, {data['size']}x{data['size']} RGB, {data['train']:,} training, "
        f"{data['validation']:,} validation and {counted(data['test'], 'test image')}{_caveats(plan)}. "
        f"{_training(plan)}Scores: means over the test images; outputs clipped to [0, 1], noise too unless its label "
        f"says clip=false{_drawn(plan)}.{_ceiling(plan.leading, summaries)} "
        f"noise-bench {version}, torch {torch_version}, {environment.get('cpu')}."
    )
    intervals = _intervals(summaries)
    signs = " ".join(filter(None, (f"{intervals}." if intervals else "", notes(rows))))
    return Conditions(plan.stand_in_for, text, signs, _named(summaries), missing(plan, rows))


def _drawn(plan: RunPlan) -> str:
    """That the test noise is another draw than the usual one."""
    seeds = sorted({test.protocol.get("test_seed", 0) for test in plan.tests} - {0})
    return f"; test noise drawn with seed {', '.join(map(str, seeds))}" if seeds else ""


def trains(plan: RunPlan) -> bool:
    """Whether a training of the plan has settings and a seed; filters and closed forms have none."""
    return any(cell.seed is not None for cell in plan.cells)


def _training(plan: RunPlan) -> str:
    if not trains(plan):
        return ""
    return f"Training: {_settings(general(plan))}{by_recipes(plan)}. {counted(len(plan.seeds), 'seed')}. "


def general(plan: RunPlan) -> dict[str, Any]:
    """The general settings that at least one model is trained by: recipes and own settings may replace the others."""
    trained = [cell for cell in plan.distinct if cell.contender.trained]
    own = [{key: value for key, value in cell.contender.settings if value is not None} for cell in trained]
    given = [{**cell.recipe, **settings} for cell, settings in zip(trained, own, strict=True)]
    found = {}
    for key, value in plan.train.items():
        values = [setting_value(one) for one in (value if isinstance(value, list) else [value])]
        if any(settings.get(key, one) == one for settings in given for one in values):
            found[key] = value
    return found


def by_recipes(plan: RunPlan) -> str:
    """What the recipes of models set otherwise than the general settings."""
    return "".join(f"; {', '.join(who)} by recipe: {text}" for text, who in plan.recipes.items())


def _caveats(plan: RunPlan) -> str:
    """What changes the numbers, of the images they are from."""
    return "".join(f"; {caveat}" for caveat in plan.notes.caveats)


def caption(plan: RunPlan, rows: Sequence[ResultRow], summaries: Sequence[Summary]) -> str:
    """What stands above a table of a folder's results in a paper."""
    data, intervals = plan.data, _intervals(summaries)
    over = f"; {intervals}" if intervals else ""
    text = (
        f"Denoising {plan.dataset}, {data['size']}x{data['size']}: means over {counted(data['test'], 'test image')}"
        f"{_drawn(plan)}{over}. {marking(summaries, plan.leading, 'Bold:', 'italic:')}."
        f"{_ceiling(plan.leading, summaries)}{_notes(rows)} "
        f"{missing(plan, rows)}"
    )
    return (f"STAND-IN IMAGES, not {plan.stand_in_for}. " if plan.stand_in_for else "") + text.rstrip()


def missing(plan: RunPlan, rows: Sequence[ResultRow]) -> str:
    """What the tables lack, for whoever reads them."""
    failed, left = (sum(row.state == state for row in rows) for state in ("failed", "open"))
    parts = [f"{failed} of {plan.rows} rows failed."] if failed else []
    if left:
        parts.append(
            f"UNFINISHED: {left} of {plan.rows} rows are still to be run; no best is named on their test noises."
        )
    return " ".join(parts)


def damage(files: Sequence[str]) -> str:
    """That files are not what was written, and what to do about it."""
    named = ", ".join(files[:NAMED]) + (f" and {len(files) - NAMED} more" if len(files) > NAMED else "")
    return f"DAMAGED: {named}. What needs them is left out. Delete them and run the spec again."


def _settings(train: Mapping[str, Any]) -> str:
    said = {key: value for key, value in train.items() if value and key not in UNSAID}
    if "images" in said and not isinstance(said["images"], list):  # older folders give the epochs beside them
        said.pop("epochs", None)
    return ", ".join(f"{key} {given(value)}" for key, value in said.items())


def given(value: Any) -> str:
    """A setting, or all the values it takes."""
    if isinstance(value, Mapping):
        return f"the best on validation images of {value['search']}"
    return f"[{', '.join(map(given, value))}]" if isinstance(value, list) else setting(value)


def _notes(rows: Sequence[ResultRow]) -> str:
    """What the marks behind values mean."""
    found = notes(rows)
    return f" {found}" if found else ""


def _named(summaries: Sequence[Summary]) -> str:
    """Which rows have a remark, and on which test noises, by their names."""
    names, noises = _names(summaries)
    found: dict[str, dict[str, list[str]]] = {}
    for summary in summaries:
        for meaning in dict.fromkeys(remark.meaning for row in summary.scored for remark in remarks(row)):
            rows = found.setdefault(meaning, {})
            rows.setdefault(names[summary.contender], []).append(str(noises[summary.test.label]))
    everywhere = Counter(names[summary.contender] for summary in summaries)
    return " ".join(_listed(meaning, rows, everywhere) for meaning, rows in found.items())


def _listed(meaning: str, rows: Mapping[str, Sequence[str]], tests: Mapping[str, int]) -> str:
    said = [name if 1 < tests[name] == len(on) else f"{name} on {', '.join(on)}" for name, on in rows.items()]
    more = f"; {counted(len(said) - NAMED, 'more row')}" if len(said) > NAMED else ""
    return f"{meaning[:1].upper()}{meaning[1:]}: {'; '.join(said[:NAMED])}{more}."


def _names(summaries: Sequence[Summary]) -> tuple[dict[Contender, str], dict[Label, Label]]:
    """What contenders and test noises are called."""
    short = short_noises((s.contender for s in summaries), (s.test for s in summaries))
    return contender_names((s.contender for s in summaries), crossed(summaries), short), short


def _ceiling(metric: Measure, summaries: Sequence[Summary]) -> str:
    """What exact images count as, and where that leaves no single best."""
    if not any(summary.counts(metric).capped for summary in summaries):
        return ""
    names, short = _names(summaries)
    disputed = disputes(summaries, metric, names)
    noises = {s.test.id: str(short[s.test.label]) for s in summaries}
    parts = [f" In mean {metric.title} an image counts as at most {metric.ceiling:g} {metric.unit}, an exact one too."]
    parts += [f" No single best on {noises[test]}: {why}." for test, why in list(disputed.items())[:NAMED]]
    parts += [f" Nor on {len(disputed) - NAMED} more test noises."] if len(disputed) > NAMED else []
    return "".join(parts)


def _intervals(summaries: Iterable[Summary]) -> str:
    """What the half-widths behind the values are over, as the summaries have it; empty where there are none."""
    found = [(interval.over, s.contender.trained) for s in summaries for interval in s.intervals.values()]
    over = {over for over, _ in found} - {""}
    if not over:
        return ""
    weights = ": about these weights only" if ("images", True) in found else ""
    words = {
        frozenset({"seeds"}): "over seeds",
        frozenset({"images"}): f"over test images{weights}",
        frozenset({"seeds", "images"}): "over seeds where a row has several, otherwise over test images",
    }
    return f"± is half the width of a 95 % confidence interval {words[frozenset(over)]}"
