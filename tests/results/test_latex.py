"""The LaTeX of a results folder: tables that compile, with every value of the summary in its place."""

import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.metrics import Metric, metrics
from bench.results.latex import END, full_table, paper_table
from bench.results.metrics import StoredMetric
from bench.results.readable import for_readers, to_markdown
from bench.results.records import ResultRow
from bench.results.summary import summarise
from tests.helpers import made_up
from tests.helpers.cli import PATIENCE
from tests.helpers.made_up import METRICS, MODELS, NOISES

MANY = [f"gaussian(sigma={level})" for level in (0.05, 0.1, 0.2, 0.3)] + NOISES[1:]
CASES = {
    "three noises": made_up.rows(),
    "many noises": made_up.rows(noises=MANY),
    "every model on every noise": made_up.rows(noises=MANY[:3], cross=True),
    "failures": made_up.rows(failed=4),
    "one row": made_up.rows(MODELS[:1], NOISES[:1], (0,), (), autoencode=False),
    "signs": made_up.rows(["conv(name=$_{%&#^~\\)"], NOISES[:1], (0,)),
}
CAPTION = "Means over 1,000 test images. 100 % of a_b & c."


def table_of(rows: list[ResultRow], measured: Sequence[Metric] = METRICS) -> str:
    plan = made_up.plan(rows, "made-up")
    stored = tuple(map(StoredMetric.of, measured))
    plan = replace(plan, metrics=stored)
    return paper_table(summarise(rows, stored), plan, CAPTION)


def cells_of(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)&", line.removesuffix(END))]


def parsed(text: str) -> list[list[list[str]]]:
    """The rows of each tabular. Environments must be balanced, and each row must fill the columns declared."""
    open_: list[str] = []
    tables: list[list[list[str]]] = []
    columns = 0
    for line in (line for line in text.splitlines() if not line.startswith("%")):
        assert line.count("{") - line.count(r"\{") == line.count("}") - line.count(r"\}"), line
        for what, name in re.findall(r"\\(begin|end)\{([a-z*]+)\}", line):
            if what == "begin":
                open_.append(name)
            else:
                assert open_.pop() == name
        if declared := re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", line):
            columns = len(declared[1])
            tables.append([])
        if line.endswith(END):
            cells = cells_of(line)
            spans = [int(span) for span in re.findall(r"\\multicolumn\{(\d+)\}", line)]
            assert len(cells) - len(spans) + sum(spans) == columns, line
            tables[-1].append(cells)
    assert not open_
    return tables


@pytest.mark.parametrize("case", CASES)
def test_the_paper_s_table_is_sound(case: str, tmp_path: Path) -> None:
    text = table_of(CASES[case])
    assert parsed(text)
    rows = made_up.summaries(CASES[case])
    long = full_table(for_readers(rows, made_up.plan(CASES[case])), "conditions")
    assert len(parsed(long)[0]) == len(rows) + 1
    if shutil.which("pdflatex") is None or shutil.which("kpsewhich") is None:
        return
    if not subprocess.run(["kpsewhich", "booktabs.sty"], capture_output=True, text=True).stdout:
        return
    source = r"\documentclass{article}\usepackage[margin=1in]{geometry}\usepackage{booktabs}\begin{document}"
    (tmp_path / "paper.tex").write_text(f"{source}\n{text}\n\\end{{document}}\n")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=PATIENCE)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Overfull \\hbox" not in done.stdout or case in ("every model on every noise", "signs"), done.stdout


def test_models_stand_beside_noises_grouped_with_caption_and_label() -> None:
    text = table_of(CASES["three noises"])
    assert r"\caption{Means over 1,000 test images. 100 \% of a\_b \& c.}" in text
    assert r"\label{tab:made-up}" in text and text.startswith(r"% needs \usepackage{booktabs}")
    first, *_ = parsed(text)
    groups, heads, *body = first
    assert groups[1] == r"\multicolumn{2}{c}{Gaussian ($\sigma$ = 0.1)}"
    assert heads[:3] == ["model", r"PSNR (dB) $\uparrow$", r"SSIM $\uparrow$"]
    assert [row[0] for row in body] == ["conv", "U-Net", "DnCNN", "conv [autoencode]", "identity", "median"]
    bold = [row[0] for row in body if row[1].startswith(r"\textbf{")]
    assert bold == ["DnCNN"]


def test_every_value_of_the_summary_is_in_the_table() -> None:
    rows = CASES["many noises"]
    values = [row.mean(METRICS[1]) for row in rows if row.seed is None]
    text = " ".join(cell for table in parsed(table_of(rows)) for row in table for cell in row)
    assert all(f"{value:.2f}" in text for value in values)
    groups = re.findall(r"multicolumn\{2\}\{c\}\{(.+?)\}", text)
    assert len(groups) == len(set(groups)) == len(MANY)
    assert len(parsed(table_of(rows))) > 1, "too wide for one"


def test_open_and_failed_rows_say_so_and_nothing_is_bold_meanwhile() -> None:
    rows = made_up.rows(MODELS[:2], NOISES[:1], (0,), autoencode=False)
    rows[0] = ResultRow(rows[0].cell, rows[0].test, "open")
    rows[1] = made_up.failure(rows[1])
    text = table_of(rows)
    assert "conv & to run & to run" in text and "U-Net & failed & failed" in text and "textbf" not in text


def test_mse_is_printed_where_psnr_is_not() -> None:
    assert "MSE" not in table_of(CASES["three noises"])
    assert r"MSE $\downarrow$" in table_of(CASES["three noises"], METRICS[:1])


def test_two_metrics_of_one_title_have_columns_of_their_own() -> None:
    """One took the other's place in every table for readers."""
    both = [metrics.parse(node) for node in ("pairwise_distance", {"pairwise_distance": {"over": "image"}})]
    (row,) = CASES["one row"]
    averages = {m.column: row.averages["psnr"]._replace(mean=mean) for m, mean in zip(both, (0.25, 2.5), strict=True)}
    rows = [replace(row, averages=averages)]
    plan = replace(made_up.plan(rows), metrics=tuple(map(StoredMetric.of, both)))
    text = for_readers(summarise(rows, plan.metrics), plan)
    assert {"pairwise_distance ↓", "pairwise_distance(over=image) ↓"} <= set(text.columns)
    assert "0.25" in to_markdown(text, "") and "2.5" in to_markdown(text, "")
