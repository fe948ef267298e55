"""Model cards: what stored weights are, what they were trained on, what they scored and how to use them."""

from collections.abc import Iterator, Mapping
from typing import Any

from bench.core.lazy import pandas
from bench.results import tables
from bench.results.store import WEIGHTS, Store


def all_cards(
    store: Store, plan: Mapping[str, Any], rows: "pandas.DataFrame", conditions: str
) -> Iterator[tuple[str, str]]:
    """Cell id and card, in Markdown, of every cell that has weights and a score."""
    columns = ["test_noise", "n_images", *(metric.column for metric in tables.chosen_metrics(plan))]
    for entry in plan["cells"]:
        record = store.cell(entry["id"]).record()
        scores = rows[(rows["cell"] == entry["id"]) & (rows["error"] == "")][columns]
        if record is not None and WEIGHTS in record["checksums"] and not scores.empty:
            shown = scores.map(lambda cell: f"{cell:.5g}" if isinstance(cell, float) else str(cell))
            yield entry["id"], _card(entry, record) + tables.to_markdown(shown, conditions)


def _card(entry: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    labels = entry["labels"]
    noise = labels["train_noise"] or "clean images"
    lines = [
        f"# {labels['model']}",
        "",
        f"- Objective: {labels['objective']}; trained on {noise}, seed {labels['seed']}",
        f"- Epochs: {record['epochs']}, weights of {record['kept_epoch']}; {record['train_seconds']:.0f} s of training",
        f"- Cost: {record['parameters']:,} parameters, {record['macs']:,} multiply-accumulates per image",
        f"- Weights: {WEIGHTS}, SHA-256 {record['checksums'][WEIGHTS]}",
        "- Use: `bench denoise IMAGE --with THIS_FOLDER -o OUT`",
    ]
    return "\n".join([*lines, "", ""])
