"""Model cards: what stored weights are, what they were trained on, how they scored and how to use them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bench.core.lazy import pandas
from bench.results.ranking import counted_text
from bench.results.readable import to_markdown
from bench.results.records import ENSEMBLE, PlannedCell, ResultRow, RunPlan
from bench.results.remarks import collapse, collapsed, marks
from bench.results.store import WEIGHTS, Store


def all_cards(store: Store, plan: RunPlan, rows: Sequence[ResultRow], conditions: str) -> Iterator[tuple[str, str]]:
    """Cell id and card, in Markdown, of every cell that has weights and a score."""
    scored: dict[str, list[ResultRow]] = {}
    for row in rows:
        if row.state == "scored":
            scored.setdefault(row.cell.id, []).append(row)
    for cell in plan.distinct:
        record = store.cell(cell.id).record()
        if record is not None and WEIGHTS in record["checksums"] and cell.id in scored:
            yield cell.id, _card(cell, record, plan) + to_markdown(_scores(scored[cell.id], plan), conditions)


def _card(cell: PlannedCell, record: Mapping[str, Any], plan: RunPlan) -> str:
    lines = [
        f"# {record['labels']['model']}",
        "",
        *_training(cell, record),
        *([f"- Recipe: {recipe}"] if (recipe := plan.by_recipe(cell)) else []),
        *_search(record),
        *_diagnostics(record.get("diagnostics", {})),
        f"- Cost: {record['parameters']:,} parameters, {record['macs']:,} multiply-accumulates per image",
        f"- Weights: {WEIGHTS}, SHA-256 {record['checksums'][WEIGHTS]}",
        *([f"- Images: {'; '.join(plan.notes)}"] if tuple(plan.notes) else []),
        "- Use: `bench denoise IMAGE --with THIS_FOLDER -o OUT`",
    ]
    return "\n".join([*lines, "", ""])


def _training(cell: PlannedCell, record: Mapping[str, Any]) -> list[str]:
    """How the weights came about."""
    contender, seconds = cell.contender, f"{record['train_seconds']:.0f} s"
    if not contender.trained:
        return [f"- Closed form, from {contender.trained_on or 'clean images'}; {seconds} to solve"]
    return [
        f"- Objective: {contender.objective}; trained on {contender.trained_on}, seed {cell.seed}",
        f"- Epochs: {record['epochs']}, weights of {record['kept_epoch']}; {seconds} of training",
    ]


def _search(record: Mapping[str, Any]) -> list[str]:
    """Which learning rate was chosen, and from which; nothing where none was searched."""
    if "search" not in record:
        return []
    tried = ", ".join(f"{trial['lr']:g}{' (failed)' if 'error' in trial else ''}" for trial in record["search"])
    return [f"- Learning rate: {record['lr']:g}, the best on validation images of {tried}"]


def _diagnostics(found: Mapping[str, float]) -> list[str]:
    """What was found out about the network, and whether it learnt anything."""
    lines = [f"- Warning: {collapse(found)}"] if collapsed(found) else []
    named = ", ".join(f"{name.replace('_', ' ')} {value:,.4g}" for name, value in found.items())
    return [*lines, f"- On validation images: {named}"] if named else lines


def _scores(rows: Sequence[ResultRow], plan: RunPlan) -> "pandas.DataFrame":
    table = {"test_noise": [str(row.test.label) for row in rows], "n_images": [str(row.n_images) for row in rows]}
    if any(row.cell.ensemble > 1 for row in rows):
        table[ENSEMBLE] = [str(row.cell.ensemble) for row in rows]
    for metric in plan.metrics:
        table[metric.column] = [metric.format(row.mean(metric)) + marks([row]) for row in rows]
        counted = [counted_text(row.averages.get(metric.column), metric) for row in rows]
        if any(counted):
            table[f"exact ({metric.column})"] = counted
    return pandas.DataFrame(table)
