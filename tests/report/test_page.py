"""The report: all of the results, nothing from the network, sound and accessible HTML."""

import base64
import dataclasses
import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.report.conditions import Conditions
from bench.report.page import Facts, Picture
from bench.report.page import page as report_page
from bench.results.records import ResultRow
from bench.results.summary import Standing, summarise
from bench.results.tables import results_frame
from tests.helpers import made_up
from tests.helpers.html import Page
from tests.helpers.made_up import CAPTION, MODELS, MSE, NOISES, STAND_IN

pytestmark = pytest.mark.filterwarnings("error")


def png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(content, "PNG")
    return content.getvalue()


FACTS = Facts({"seeds": "0, 1", "noise-bench": "0.1.0"}, "0.1.0")


def make(rows: list[ResultRow] | None = None, **changed: Any) -> str:
    rows = made_up.rows() if rows is None else rows
    plan = changed.pop("plan", None) or made_up.plan(rows, "default")
    given = {"figures": [Picture("PSNR by test noise", png())], "conditions": CAPTION, "facts": FACTS, **changed}
    return report_page(plan, rows, summarise(rows, plan.metrics), **given)


def matrix(html: str) -> dict[tuple[str, str], str]:
    (top, *rows), *_ = Page(html).tables
    return {(row[0], name): cell for row in rows for name, cell in zip(top[1:], row[1:], strict=True)}


def test_every_row_of_the_results_is_in_the_page() -> None:
    rows = made_up.rows()
    table = Page(make(rows)).tables[-1]
    assert len(table) == len(rows) + 1
    assert [row[table[0].index("cell")] for row in table[1:]] == [row.cell.id for row in rows]
    psnr = [row.averages["psnr"].mean for row in rows]
    assert [float(row[table[0].index("psnr")]) for row in table[1:]] == pytest.approx(psnr, rel=1e-4)
    assert {"160,000", "conv(width=16)", "masking(p=0.25)"} <= {cell for row in table for cell in row}
    assert f"masking(p=0.25): {NOISES[1]}" in Page(make(rows)).text()


def test_nothing_is_fetched() -> None:
    html = make(made_up.rows(failed=1))
    page = Page(html)
    assert "http://" not in html
    assert "https://" not in html
    assert "url(" not in html
    assert not {"script", "link", "iframe", "object", "base"} & {tag for tag, _ in page.elements}
    assert all(str(image["src"]).startswith("data:image/png;base64,") for image in page.all("img"))
    assert all(str(link["href"]).startswith("#") for link in page.all("a"))
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    assert {str(link["href"])[1:] for link in page.all("a")} <= ids, "a link leads nowhere"


def test_names_and_reasons_are_escaped() -> None:
    evil = '<script>alert("x")</script> & <b>'
    rows = made_up.rows([f"conv(name={evil})"], NOISES[:1], failed=1)
    plan = dataclasses.replace(made_up.plan(rows, evil), dataset=evil)
    html = make(
        rows, plan=plan, conditions=Conditions(evil, evil), figures=[Picture(evil, png())], facts=Facts({evil: evil})
    )
    page = Page(html)
    assert "<script" not in html
    assert page.text().count(evil) >= 7
    assert str(page.all("img")[0]["alt"]).startswith(evil)


def test_figures_are_the_very_pictures_with_a_text_for_each() -> None:
    pictures = [Picture("PSNR by test noise", png()), Picture("psnr_by_parameters", png()[:-1] + b"x")]
    page = Page(make(figures=pictures))
    found = [base64.b64decode(str(image["src"]).split(",")[1]) for image in page.all("img")]
    assert found == [picture.png for picture in pictures]
    assert [str(image["alt"]).split(";")[0] for image in page.all("img")] == [
        "PSNR by test noise",
        "psnr by parameters",
    ]


def test_tables_have_headers_and_sections_have_names() -> None:
    page = Page(make(made_up.rows(failed=1)))
    assert all(header.get("scope") in ("row", "col") for header in page.all("th"))
    assert page.all("html") == [{"lang": "en"}]
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert all(section["aria-labelledby"] in ids for section in page.all("section"))
    assert [tag for tag, _ in page.elements].count("h1") == 1


def mean_psnr(rows: list[ResultRow], model: str, noise: str) -> float:
    found = [r.averages["psnr"].mean for r in rows if str(r.contender.model) == model and str(r.test.label) == noise]
    return sum(found) / len(found)


def test_the_headline_says_who_wins_and_what_it_gains_over_doing_nothing() -> None:
    rows = made_up.rows()
    html = make(rows)
    best, idle = (mean_psnr(rows, model, NOISES[0]) for model in (MODELS[2], "identity"))
    cell = matrix(html)["gaussian(sigma=0.1)", "dncnn"]
    assert cell.split() == [f"{best:.2f}", "(best)" + f"{best - idle:+.2f}"]
    assert sum("(best)" in cell for cell in matrix(html).values()) == len(NOISES)
    assert (
        f"gaussian(sigma=0.1): dncnn , {best:.2f} dB; {best - idle:.2f} dB better than doing nothing"
        in Page(html).text()
    )


def test_doing_nothing_may_win_and_losses_are_negative() -> None:
    rows = made_up.rows(MODELS[:1], NOISES[:1], autoencode=False, plain=["identity"])
    html = make([made_up.with_means(row, psnr=40.0) if not row.contender.trained else row for row in rows])
    assert "(best)" in matrix(html)["gaussian(sigma=0.1)", "identity"]
    assert "\N{MINUS SIGN}" in matrix(html)["gaussian(sigma=0.1)", "conv"]
    assert "nothing tried here is better than doing nothing" in Page(html).text()


def test_a_perfect_row_wins_on_the_page_too() -> None:
    rows = made_up.rows(MODELS[:1], NOISES[:1], autoencode=False)
    html = make([made_up.with_means(row, psnr=np.inf) if not row.contender.trained else row for row in rows])
    assert "perfect" in matrix(html)["gaussian(sigma=0.1)", "identity"]
    assert "(best)" in matrix(html)["gaussian(sigma=0.1)", "identity"]
    assert "gaussian(sigma=0.1): identity , perfect; nothing tried here" in Page(html).text()


def test_where_nobody_is_the_best_the_page_says_why_and_marks_both() -> None:
    rows = made_up.rows(MODELS[:1], NOISES[:1], (0,), autoencode=False)
    exact = [made_up.with_exact(row) if row.contender.model.name == "identity" else row for row in rows]
    html = make(exact)
    assert sum("(best)" in cell for cell in matrix(html).values()) == 2
    text = Page(html).text()
    assert "gaussian(sigma=0.1): no single best : identity has the best mean PSNR (50.00 dB, 700 of" in text
    assert "win" not in text


def test_who_cant_be_told_from_the_best_is_marked_and_the_margin_says_so() -> None:
    rows = made_up.rows(MODELS[:2], NOISES[:1], autoencode=False, plain=["identity"])
    plan = made_up.plan(rows)

    def of(tied: bool) -> str:
        places = {"unet": True, "conv": tied, "identity": False}
        found = [
            dataclasses.replace(one, standing=Standing("psnr", 1, 3, places[one.contender.model.name]))
            for one in summarise(rows, plan.metrics)
        ]
        return report_page(plan, rows, found, figures=[], conditions=CAPTION, facts=Facts({}))

    text = Page(of(True)).text()
    assert "ahead of conv, which can't be told apart." in text and "better than doing nothing;" in text
    assert "can't be told apart" not in Page(of(False)).text()
    for mark, counts in {"(best)": [1, 1], "(tied)": [1, 0]}.items():
        assert [sum(mark in cell for cell in matrix(of(tied)).values()) for tied in (True, False)] == counts


def test_without_psnr_the_first_metric_decides_in_its_direction() -> None:
    rows = made_up.rows(MODELS[:2], NOISES[:1], autoencode=False, plain=[])
    html = make(rows, plan=dataclasses.replace(made_up.plan(rows), metrics=(MSE,)))
    assert "MSE, lower is better" in Page(html).text()
    assert "(best)" in matrix(html)["gaussian(sigma=0.1)", "unet"]


def test_many_models_stand_below_one_another() -> None:
    levels = ["gaussian(sigma=0.1)", "gaussian(sigma=0.2)"]
    html = make(made_up.rows([f"conv(width={w})" for w in range(8)], levels, cross=True, seeds=(0,)))
    assert ("conv(width=7), trained on gaussian(sigma=0.2)", "gaussian(sigma=0.1)") in matrix(html)
    assert sum("(best)" in cell for cell in matrix(html).values()) == 2


def test_warnings_stand_at_the_top() -> None:
    page = Page(make(conditions=STAND_IN))
    assert ("p", {"class": "warning", "role": "note"}) in page.elements
    assert page.text().index("STAND-IN IMAGES, not CIFAR-10") < page.text().index("Which denoiser is best")
    assert "warning" not in {attributes.get("class") for _, attributes in Page(make()).elements}


def test_failures_are_listed_with_their_reasons() -> None:
    page = Page(make(made_up.rows(failed=2)))
    assert "loss is not finite after epoch 1" in page.text()
    assert len(page.tables[-1]) == 3
    assert "2 cells failed" in page.text()
    assert "Failures" not in Page(make()).text()


def test_a_page_without_any_result_says_so() -> None:
    for page in (Page(make(made_up.rows(seeds=(0,), failed=18), figures=[])), Page(make([], figures=[]))):
        assert "Nothing has been scored yet, or every cell failed." in page.text()


def test_how_to_reproduce_names_command_version_and_commit() -> None:
    text = Page(make(facts=Facts({}, "0.1.0", "abc123"))).text()
    assert "noise-bench 0.1.0 (commit abc123), results" in text
    assert "bench run experiment.yaml" in text


def test_missing_values_are_blank_and_empty_columns_left_out() -> None:
    rows = made_up.rows()
    header, *_, last = Page(make(rows)).tables[-1]
    assert "error" not in header, "nothing failed"
    assert last[header.index("train_seconds")] == "", "no training"


def test_whole_numbers_are_shown_to_the_last_digit() -> None:
    """Seeds go to 2^63 - 1; a float holds whole numbers up to 2^53 only."""
    seed = 9007199254740993
    rows = made_up.rows(MODELS[:1], NOISES[:1], (seed,), ["identity"], autoencode=False)
    header, trained, _ = Page(make(rows)).tables[-1]
    assert trained[header.index("seed")] == f"{seed:,}"
    frame = results_frame(rows, made_up.plan(rows))
    assert frame.to_csv(index=False).splitlines()[1].count(f",{seed},") == 1


def test_text_for_screen_readers_does_not_widen_the_page() -> None:
    """It is positioned absolutely; outside a positioned box it counts for the page's width, not the box's."""
    rules = dict(re.findall(r"^(\.\w+) \{(.+?)\}", make(), re.MULTILINE | re.DOTALL))
    assert "position: absolute" in rules[".hidden"]
    assert "position: relative" in rules[".scroll"]


def test_in_dark_mode_photographs_keep_their_colours_and_charts_are_inverted() -> None:
    page = Page(make(figures=[Picture("samples", png(), png()[:-1] + b"d"), Picture("loss_curves", png())]))
    samples, chart = page.all("img")
    assert samples.get("class") is None and chart["class"] == "chart"
    (dark,) = page.all("source")
    assert dark["media"] == "screen and (prefers-color-scheme: dark)"
    assert base64.b64decode(str(dark["srcset"]).split(",")[1]) == png()[:-1] + b"d"
