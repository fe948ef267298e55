"""All that is derived from stored results: tables, figures, model cards and the report. Nothing is trained here."""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from bench.core.lazy import Lazy, pandas
from bench.report import cards
from bench.results import tables
from bench.results.files import as_json, read_json
from bench.results.store import Store
from bench.spec.cells import title

figures = Lazy("bench.report.figures")
html = Lazy("bench.report.page")

ROWS_SHOWN = 4  # test images per samples figure
SHOWN = "shown.json"  # beside the figures: what they were drawn from


def conditions(plan: Mapping[str, Any], environment: Mapping[str, Any]) -> str:
    """What a number of this folder holds for, in a few sentences."""
    data = plan["data"]
    train = {key: value for key, value in plan["train"].items() if key not in ("threads", "device", "keep")}
    if isinstance(train["lr"], Mapping):
        train["lr"] = f"the best on validation images of {train['lr']['search']}"
    if train["images"]:
        del train["epochs"]
    settings = ", ".join(f"{key} {value}" for key, value in train.items() if value)
    seeds = plan["seeds"]
    torch_version = environment.get("libraries", {}).get("torch")
    version = environment.get("noise-bench") or environment.get("git_commit")
    standin = f"STAND-IN IMAGES, not {plan['stand_in_for']}. " if plan["stand_in_for"] else ""
    return (
        f"{standin}Data: {plan['dataset']}, {data['size']}x{data['size']} RGB, {data['train']:,} training, "
        f"{data['validation']:,} validation and {data['test']:,} test images. "
        f"Training: {settings}. {len(seeds)} seed{'s' if len(seeds) > 1 else ''}. "
        "Scores: means over the test images; outputs clipped to [0, 1], noise too unless its label says clip=false; "
        f"± is half a 95 % interval over {'seeds' if len(seeds) > 1 else 'images, these weights only'}. "
        f"noise-bench {version}, torch {torch_version}, {environment.get('cpu')}."
    )


def rebuild(store: Store, force: bool = True, figures: bool = True) -> "tuple[pandas.DataFrame, pandas.DataFrame]":
    """Write tables, cards, figures and the report anew. Returns all rows and their summary.

    force: if false, figures and report are left alone when the tables they show have not changed.
    figures: if false, only the tables are written; the next call with figures draws what is out of date.
    """
    plan = store.plan()
    chosen = tables.chosen_metrics(plan)
    rows = tables.results(store)
    table = tables.summary(rows, chosen, plan["varied"])
    said = conditions(plan, store.environment()) + missing(plan, rows)
    readable = tables.for_readers(table, chosen, plan["varied"])
    results = rows.to_csv(index=False, lineterminator="\n")
    store.write_table("results.csv", results)
    store.write_table("summary.csv", table.to_csv(index=False, lineterminator="\n"))
    store.write_table("summary.md", tables.to_markdown(readable, said))
    store.write_table("summary.tex", tables.to_latex(readable, said))
    if not figures:
        if force:
            store.remove_figure(SHOWN)
        return rows, table
    shown = {"results": hashlib.sha256(results.encode()).hexdigest(), "conditions": said}
    if force or read_json(store.root / "figures" / SHOWN) != shown:
        for cell, text in cards.all_cards(store, plan, rows, said):
            store.cell(cell).write_card(text)
        _figures_and_report(store, plan, rows, table, said)
        store.write_figure(SHOWN, as_json(shown).encode())
    return rows, table


def missing(plan: Mapping[str, Any], rows: "pandas.DataFrame") -> str:
    """What the tables lack, for whoever reads them."""
    failed, left = int((rows["error"] != "").sum()), tables.planned(plan) - len(rows)
    said = f" {failed} of {tables.planned(plan)} rows failed." if failed else ""
    return f"{said} UNFINISHED: {left} of {tables.planned(plan)} rows are still to be run." if left else said


def _figures_and_report(
    store: Store, plan: Mapping[str, Any], rows: "pandas.DataFrame", table: "pandas.DataFrame", said: str
) -> None:
    chosen = tables.chosen_metrics(plan)
    pictures: list[tuple[str, bytes]] = []
    for name, figure in figures.everything(rows, _histories(store, plan), list(_samples(store, plan)), chosen, said):
        picture = figures.encoded(figure, "png")
        store.write_figure(f"{name}.png", picture)
        store.write_figure(f"{name}.svg", figures.encoded(figure, "svg"))
        pictures.append((name, picture))
    store.keep_figures([SHOWN, *(f"{name}.{kind}" for name, _ in pictures for kind in ("png", "svg"))])
    warnings = (
        [f"These are stand-in images ({plan['dataset']}), not {plan['stand_in_for']}."] if plan["stand_in_for"] else []
    )
    facts = {"conditions": said, **_facts(plan, store.environment())}
    store.write_report(html.page(plan["name"], facts, table, rows, pictures, warnings))


def _facts(plan: Mapping[str, Any], environment: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "dataset": plan["dataset"],
        "training": ", ".join(f"{key} {value}" for key, value in plan["train"].items()),
        "seeds": ", ".join(map(str, plan["seeds"])),
        "noise-bench": environment.get("noise-bench"),
        "git commit": environment.get("git_commit"),
        "libraries": ", ".join(f"{key} {value}" for key, value in environment.get("libraries", {}).items()),
        "machine": f"{environment.get('cpu')}, {environment.get('cores')} cores, {environment.get('platform')}",
    }


def _histories(store: Store, plan: Mapping[str, Any]) -> "pandas.DataFrame":
    found = []
    for entry in plan["cells"]:
        history = store.cell(entry["id"]).history()
        if history is not None:
            found.append(history.assign(cell=entry["id"], **{k: v for k, v in entry["labels"].items()}))
    return pandas.concat(found, ignore_index=True) if found else pandas.DataFrame()


def _samples(store: Store, plan: Mapping[str, Any]) -> Iterator[Any]:
    """For each test noise, what every model (its first seed) makes of the first test images."""
    for test in {test["id"]: test for entry in plan["cells"] for test in entry["tests"]}.values():
        outputs: dict[str, np.ndarray] = {}
        stored: dict[str, np.ndarray] = {}
        for entry in plan["cells"]:
            labels, folder = entry["labels"], store.cell(entry["id"])
            met = test["id"] in [t["id"] for t in entry["tests"]] and folder.score(test["id"]) is not None
            name = title(labels["model"], labels["objective"])
            if labels["train_noise"] not in ("", test["label"]):
                name += f" trained on {labels['train_noise']}"
            name += "".join(
                f", {key.removeprefix('train.')} {value}" for key, value in entry["varied"].items() if value is not None
            )
            if met and name not in outputs:
                stored = {key: value[:ROWS_SHOWN] for key, value in folder.samples(test["id"]).items()}
                outputs[name] = stored["output"]
        if outputs:
            yield figures.Samples(
                test_noise=test["label"],
                original=stored["original"],
                noisy=stored["noisy"],
                noisy_psnr=_psnr(stored["noisy"], stored["original"]),
                reconstructions=outputs,
                psnr={name: _psnr(output, stored["original"]) for name, output in outputs.items()},
            )


def _psnr(images: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """PSNR of the 8-bit pictures shown, (K,)."""
    error = ((images.astype(np.float64) - targets) / 255) ** 2
    with np.errstate(divide="ignore"):
        return -10 * np.log10(error.mean(axis=(1, 2, 3)))
