"""What was measured, as results/perf.json, as a table for the terminal and for docs/speed.md, and as a figure."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from bench.core.machine import environment, installed
from bench.report.figures import style
from tests.perf import quality, reference
from tests.perf.fresh import ROOT

RESULT = ROOT / "results/perf.json"
PAGE = ROOT / "docs/speed.md"
PICTURE = ROOT / "docs/img/speed-growth.png"
CURVES = ROOT / "docs/img/speed-quality.png"
DOTTED = "Dotted: what the smallest would grow to if every further cell or image cost the same."
EACH = (
    "The script's curve is one training, its time that of an epoch as measured in this run; each point of ours is a "
    "training of its own with a whole cosine schedule."
)
BEGIN, END = "<!-- perf: begin -->", "<!-- perf: end -->"

# key -> what it is, what is wanted, and whether that is a least (True) or a most (False).
WANTED: dict[str, tuple[str, float, bool]] = {
    "train_vs_script": ("training images/s, ours / the study's kind of script", 2.7, True),
    "train_vs_script_float32": ("the same, float32", 1.6, True),
    "train_vs_deepinv": ("training images/s, ours / deepinv's Trainer", 1.5, True),
    "train_vs_deepinv_float32": ("the same, float32", 0.95, True),
    "train_vs_bare": ("training images/s, ours / bare forward, backward and step", 0.92, True),
    "eval_vs_skimage": ("MSE, PSNR and both SSIMs, one scikit-image process / ours on two cores", 12, True),
    "metric_max_difference": ("largest difference of these metrics from scikit-image", 1e-6, False),
    "grid_two_vs_one": ("grid of 8 cells, one process of two threads / two processes", 1.25, True),
    "time_to_quality": ("seconds to the study's final PSNR, script / our best default model", 100, True),
    "time_to_quality_same_network": ("the same, script / ours with the study's own network", 20, True),
    "rerun_seconds": ("rerun of a finished grid of 200 cells", 3, False),
    "cell_overhead_ms": ("overhead per cell over its training and scoring", 100, False),
    "workers_busy": ("share of their time that two processes compute, in cells of 50 ms", 0.85, True),
    "scheduler_vs_processes": ("seconds of 64 trainings, cluster of two workers / two processes", 1.05, False),
    "help_seconds": ("`bench --help`", 0.3, False),
    "worker_peak_mb": ("memory of a worker of its own (USS) at its peak", 1200, False),
    "psnr_precision": ("PSNR in `auto` precision and in float32, difference", 0.02, False),
    "psnr_engine": ("PSNR from two processes and from one of two threads, difference", 0.02, False),
}
GROWTH = {
    "growth_cells": "cost of a cell among 1,000, against one among 100",
    "growth_images": "cost of an image among 58,500, against one among a tenth of them",
}


def machine() -> dict[str, Any]:
    """What the numbers were measured with."""
    found = environment()
    versions = {**found["libraries"], "deepinv": installed("deepinv")}
    return {**{key: found[key] for key in ("cpu", "cores", "platform", "python", "git_commit")}, "libraries": versions}


def write(found: Mapping[str, Any], path: Path = RESULT) -> None:
    """Store what was measured. Other keys stay if they were measured on the same machine and commit."""
    before = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    ordered = {**(before if before.get("machine") == found["machine"] else {}), **found}
    content = {key: ordered[key] for key in (*WANTED, *GROWTH, "machine") if key in ordered}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def reached(key: str, value: float | None) -> bool:
    """Whether a value is as good as wanted."""
    _, wanted, least = WANTED[key]
    return value is not None and (value >= wanted if least else value <= wanted)


def rows(found: Mapping[str, Any]) -> list[tuple[str, str, str, str, str]]:
    """What, value, range, wanted and conditions of every key that was measured."""
    lines = []
    for key, (what, wanted, least) in WANTED.items():
        if key not in found:
            continue
        measured = found[key]
        mark = "" if reached(key, measured["value"]) else " (missed)"
        limit = f"{'at least' if least else 'at most'} {wanted:g}{_unit(measured)}{mark}"
        lines.append((what, _value(measured), _range(measured), limit, measured["conditions"]))
    for key, what in GROWTH.items():
        if key in found:
            measured = found[key]
            lines.append((what, _value(measured), _range(measured), "1 is linear", measured["conditions"]))
    return lines


def table(found: Mapping[str, Any]) -> str:
    """For the terminal: a line per figure, what it holds for below it."""
    width = max(len(row[0]) for row in rows(found))
    lines = [
        f"{what:<{width}}  {value:>12}  {spread:<20} {limit}\n    {conditions}"
        for what, value, spread, limit, conditions in rows(found)
    ]
    return "\n".join([*lines, "", said(found["machine"])])


def markdown(found: Mapping[str, Any]) -> str:
    """The same for docs/speed.md: a table, the conditions numbered below it."""
    lines = ["| what | measured | range | wanted | |", "| --- | ---: | --- | --- | --- |"]
    notes = []
    for number, (what, value, spread, limit, conditions) in enumerate(rows(found), 1):
        lines.append(f"| {what} | {value} | {spread} | {limit} | {number} |")
        notes.append(f"{number}. {_capital(conditions)}.")
    return "\n".join([*lines, "", f"Medians. {said(found['machine'])}", "", *notes])


def said(on: Mapping[str, Any]) -> str:
    """The machine and the versions in one sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in on["libraries"].items() if version)
    where = f"{on['cpu']}, {on['cores']} cores, {on['platform']}"
    return f"{where}; Python {on['python']}, {versions}; commit {on['git_commit']}."


def render(found: Mapping[str, Any]) -> None:
    """Put the table into docs/speed.md, between its two marks, and draw the growth figure."""
    page = PAGE.read_text(encoding="utf-8")
    head, _, rest = page.partition(BEGIN)
    tail = rest.partition(END)[2]
    block = markdown(found)
    if all(key in found for key in GROWTH):
        PICTURE.parent.mkdir(parents=True, exist_ok=True)
        figure(found).savefig(PICTURE, dpi=150)
        block += f"\n\n![Seconds against cells and against images](img/{PICTURE.name})\n\n{DOTTED}"
    if found.get("time_to_quality", {}).get("points"):
        CURVES.parent.mkdir(parents=True, exist_ok=True)
        curves(found).savefig(CURVES, dpi=150)
        block += f"\n\n![PSNR against seconds of training](img/{CURVES.name})\n\n{EACH}"
    PAGE.write_text(f"{head}{BEGIN}\n{block}\n{END}{tail}", encoding="utf-8")


def figure(found: Mapping[str, Any]) -> Figure:
    """Seconds against cells, and against images."""
    drawn = Figure(figsize=(9, 4.6), layout="constrained")
    left, right = drawn.subplots(1, 2)
    grids, runs = found["growth_cells"]["points"], found["growth_images"]["points"]
    counts = [point["cells"] for point in grids]
    _line(left, counts, [point["seconds"] for point in grids], "o", "whole `bench run`")
    _line(left, counts, [point["cells"] * point["per_cell_ms"] / 1000 for point in grids], "s", "without start and end")
    left.set(xlabel="cells with next to nothing to train", ylabel="seconds", title="Cells")
    counts = [point["images"] for point in runs]
    for model, marker in zip(runs[-1]["training_seconds"], "osD^v", strict=False):
        _line(right, counts, [point["training_seconds"][model] for point in runs], marker, f"an epoch of {model}")
    _line(right, counts, [point["scoring_seconds"] for point in runs], "x", "scoring all models")
    _line(right, counts, [point["reading_seconds"] for point in runs], "+", "reading pictures, once")
    right.set(xlabel="images", ylabel="seconds", title="Images")
    for axes in (left, right):
        _plain(axes)
        axes.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.16), frameon=False)
    return drawn


def curves(found: Mapping[str, Any]) -> Figure:
    """PSNR against seconds of training: the study's script, and trainings of ours with several budgets."""
    drawn = Figure(figsize=(7, 4), layout="constrained")
    axes = drawn.subplots()
    each = found["time_to_quality"]["seconds_per_epoch"]
    scored = [(each * epoch, psnr) for epoch, _, psnr in reference.curve()[1]]
    axes.plot(*zip(*scored, strict=True), color="0.5", linewidth=1, label="study's script, constant learning rate")
    for (key, model), marker in zip(quality.KEYS.items(), "os", strict=True):
        points = found[key]["points"]
        seconds, psnr = ([point[name] for point in points] for name in ("training_seconds", "psnr"))
        axes.plot(seconds, psnr, marker, label=f"ours, {model}")
    axes.axhline(reference.target(), color="0.5", linestyle=":", linewidth=1, label="what the script ends with")
    axes.set(xlabel="seconds of training", ylabel="PSNR (dB)", ylim=(20, None))
    style.scale(axes.xaxis, axes.dataLim.intervalx, log=True)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)
    return drawn


def _plain(axes: Any) -> None:
    """Both axes logarithmic, with plain numbers."""
    style.scale(axes.xaxis, axes.dataLim.intervalx, log=True)
    style.scale(axes.yaxis, axes.dataLim.intervaly, log=True)
    axes.grid(alpha=0.3)


def _line(axes: Any, counts: Sequence[int], seconds: Sequence[float], marker: str, label: str) -> None:
    (line,) = axes.plot(counts, seconds, marker=marker, label=label)
    # What the smallest would grow to if every further one cost the same.
    axes.plot(counts, [seconds[0] * count / counts[0] for count in counts], ":", color=line.get_color(), linewidth=1)


def _unit(measured: Mapping[str, Any]) -> str:
    return {"ratio": "", "absolute": ""}.get(measured["unit"], f" {measured['unit']}")


def _value(measured: Mapping[str, Any]) -> str:
    return "-" if measured["value"] is None else _number(measured["value"]) + _unit(measured)


def _range(measured: Mapping[str, Any]) -> str:
    return "-" if measured["range"] is None else " - ".join(_number(value) for value in measured["range"])


def _number(value: float) -> str:
    if value and abs(value) < 1e-3:
        return f"{value:.1e}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
