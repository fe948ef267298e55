"""Summaries as LaTeX (booktabs): models by test noises as papers print them, and every row in full."""

import re
from collections.abc import Iterator, Mapping, Sequence

from bench.core.lazy import pandas
from bench.metrics import Measure
from bench.results.names import contender_names, crossed, short_noises
from bench.results.readable import headings, marked_column
from bench.results.records import RunPlan
from bench.results.summary import Summary

ROOM = 105  # characters of \footnotesize that fit beside one another on a page with margins of an inch
SEPARATOR = 2  # characters that the space between two columns takes
UNTESTED = "--"
END = r" \\"
SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
PRINTED = {  # names that papers write in another way; underscores of all others become spaces
    "unet": "U-Net", "res_unet": "ResU-Net", "dncnn": "DnCNN", "nafnet": "NAFNet", "vae": "VAE", "vq_vae": "VQ-VAE",
    "bm3d": "BM3D", "nlm": "NLM", "tv": "TV", "jpeg": "JPEG", "gaussian": "Gaussian", "poisson": "Poisson",
    "sigma": SIGMA,
}  # fmt: skip

Cells = Mapping[tuple[str, str], Sequence[str]]  # the metrics of a model on a test noise


def paper_table(summaries: Sequence[Summary], plan: RunPlan, caption: str) -> str:
    """A row per model, and for each test noise its metrics side by side, the best in bold; float, caption and label.

    Noises that don't fit beside one another stand below one another. MSE is left out beside its logarithm, PSNR.
    """
    known = {metric.column for metric in plan.metrics}
    metrics = [metric for metric in plan.metrics if metric.column != "mse" or "psnr" not in known]
    short = short_noises((summary.contender for summary in summaries), plan.tests)
    contenders = contender_names((summary.contender for summary in summaries), crossed(summaries), short)
    columns = [marked_column(summaries, metric) for metric in metrics]
    cells = {
        (contenders[summary.contender], str(short[summary.test.label])): values
        for summary, values in zip(summaries, zip(*columns, strict=True), strict=True)
    }
    models, noises = (list(dict.fromkeys(names)) for names in (contenders.values(), (noise for _, noise in cells)))
    lines = [r"% needs \usepackage{booktabs}", r"\begin{table*}", r"\centering", r"\footnotesize"]
    lines += [rf"\caption{{{_escaped(caption)}}}", rf"\label{{tab:{plan.name}}}", r"\setlength{\tabcolsep}{4pt}"]
    for block in _blocks(models, noises, cells, metrics):
        lines += _tabular(models, block, cells, metrics)
    return "\n".join([*lines, r"\end{table*}", ""])


def full_table(text: "pandas.DataFrame", conditions: str) -> str:
    """A table for readers, every row of it, its conditions in comments."""
    head, *body = map(_row, [list(text.columns), *text.itertuples(index=False)])
    lines = [rf"\begin{{tabular}}{{{'l' * len(text.columns)}}}", r"\toprule", head, r"\midrule", *body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *(f"% {line}" for line in conditions.splitlines()), ""])


def display(name: str) -> str:
    """A name as a paper prints it.

    >>> display("salt_and_pepper(p=0.1)"), display("unet(width=16), trained on poisson(peak=30)")
    ('salt and pepper (p = 0.1)', 'U-Net (width = 16), trained on Poisson (peak = 30)')
    """
    named = re.sub(r"\w+", lambda word: PRINTED.get(word[0], word[0].replace("_", " ")), name)
    return re.sub(r"(?<=\w)\(", " (", named).replace("=", " = ")


def _blocks(
    models: Sequence[str], noises: Sequence[str], cells: Cells, metrics: Sequence[Measure]
) -> Iterator[list[str]]:
    """The noises, as many at a time as fit beside one another."""
    first = max((len(display(model)) for model in models), default=0)
    block: list[str] = []
    used = first
    for noise in noises:
        width = _width(noise, models, cells, metrics)
        if block and used + width > ROOM:
            yield block
            block, used = [], first
        block.append(noise)
        used += width
    if block:
        yield block


def _width(noise: str, models: Sequence[str], cells: Cells, metrics: Sequence[Measure]) -> int:
    """Characters that the columns of a test noise take: their widest values or headings, or the noise's own name."""
    rows = [headings(metrics), *(cells[model, noise] for model in models if (model, noise) in cells)]
    columns = [max(len(value.strip("*")) + SEPARATOR for value in column) for column in zip(*rows, strict=True)]
    return max(sum(columns), len(display(noise)) + SEPARATOR)


def _tabular(models: Sequence[str], noises: Sequence[str], cells: Cells, metrics: Sequence[Measure]) -> list[str]:
    """Models by some of the noises."""
    count = len(metrics)
    groups = [rf"\multicolumn{{{count}}}{{c}}{{{_escaped(display(noise))}}}" for noise in noises]
    rules = [rf"\cmidrule(lr){{{2 + i * count}-{1 + (i + 1) * count}}}" for i in range(len(noises))]
    rows = [
        [display(model), *(value for noise in noises for value in cells.get((model, noise), [UNTESTED] * count))]
        for model in models
        if any((model, noise) in cells for noise in noises)
    ]
    return [
        rf"\begin{{tabular}}{{l{'r' * count * len(noises)}}}",
        r"\toprule",
        f"& {' & '.join(groups)}{END}",
        " ".join(rules),
        _row(["model", *headings(metrics) * len(noises)]),
        r"\midrule",
        *map(_row, rows),
        r"\bottomrule",
        r"\end{tabular}\par\medskip",
    ]


def _row(cells: Sequence[object]) -> str:
    return " & ".join(_latex(str(cell)) for cell in cells) + END


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
    "†": r"$\dagger$",
    "‡": r"$\ddagger$",
    "§": r"\S{}",
    "¶": r"\P{}",
    "‖": r"$\parallel$",
    SIGMA: r"$\sigma$",
}


def _latex(text: str) -> str:
    if text.startswith("**") and text.endswith("**"):
        return f"\\textbf{{{_escaped(text[2:-2])}}}"
    if text.startswith("*") and text.endswith("*"):
        return f"\\textit{{{_escaped(text[1:-1])}}}"
    return _escaped(text)


def _escaped(text: str) -> str:
    return "".join(LATEX.get(char, char) for char in " ".join(text.split()))
