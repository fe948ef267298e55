"""The report: all of the results, nothing from the network, sound and accessible HTML."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from bench.report import page
from tests.helpers import made_up
from tests.helpers.made_up import CAPTION, MODELS, NOISES

pytestmark = pytest.mark.filterwarnings("error")

VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Reads a page strictly: every tag closed in its order; keeps elements, attributes and text."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.tables: list[list[list[str]]] = []
        self.feed(html)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.texts.append(data)
        if {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data

    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def png() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (4, 3), "red").save(content, "PNG")
    return content.getvalue()


def make(rows: pd.DataFrame | None = None, **changed: object) -> str:
    rows = made_up.results() if rows is None else rows
    summary = rows.groupby(["model", "test_noise"], sort=False)["mse"].mean().reset_index()
    given = {
        "title": "default",
        "conditions": {"conditions": CAPTION, "seeds": [0, 1], "command": "bench run x.yaml", "noise-bench": "0.1.0"},
        "summary": summary,
        "rows": rows,
        "figures": [("PSNR by test noise", png())],
        "warnings": [],
    }
    return page.page(**{**given, **changed})


def matrix(html: str) -> dict[tuple[str, str], str]:
    (top, *rows), *_ = Page(html).tables
    return {(row[0], name): cell for row in rows for name, cell in zip(top[1:], row[1:], strict=True)}


def test_every_row_of_the_results_is_in_the_page() -> None:
    rows = made_up.results()
    table = Page(make(rows)).tables[-1]
    assert len(table) == len(rows) + 1
    assert [row[table[0].index("cell")] for row in table[1:]] == list(rows["cell"])
    assert [float(row[table[0].index("psnr")]) for row in table[1:]] == pytest.approx(list(rows["psnr"]), rel=1e-4)
    assert {"160,000", "conv(width=16)", NOISES[1]} <= {cell for row in table for cell in row}


def test_nothing_is_fetched() -> None:
    html = make(made_up.results(failed=1))
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
    rows = made_up.results([f"conv(name={evil})"], NOISES[:1], failed=1)
    html = make(
        rows, title=evil, conditions={evil: evil}, figures=[(evil, png())], warnings=[evil],
        summary=pd.DataFrame({evil: [evil]}),
    )  # fmt: skip
    page = Page(html)
    assert "<script" not in html
    assert page.text().count(evil) >= 7
    assert page.all("img")[0]["alt"].startswith(evil)


def test_figures_are_the_very_pictures_with_a_text_for_each() -> None:
    pictures = [("PSNR by test noise", png()), ("psnr_by_parameters", png()[:-1] + b"x")]
    page = Page(make(figures=pictures))
    found = [base64.b64decode(str(image["src"]).split(",")[1]) for image in page.all("img")]
    assert found == [content for _, content in pictures]
    assert [str(image["alt"]).split(";")[0] for image in page.all("img")] == [
        "PSNR by test noise",
        "psnr by parameters",
    ]


def test_tables_have_headers_and_sections_have_names() -> None:
    page = Page(make(made_up.results(failed=1)))
    assert all(header.get("scope") in ("row", "col") for header in page.all("th"))
    assert page.all("html") == [{"lang": "en"}]
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert all(section["aria-labelledby"] in ids for section in page.all("section"))
    assert [tag for tag, _ in page.elements].count("h1") == 1


def test_the_headline_says_who_wins_and_what_it_gains_over_doing_nothing() -> None:
    rows = made_up.results()
    html = make(rows)
    means = rows[rows["objective"] != "autoencode"].groupby(["test_noise", "model"])["psnr"].mean()
    best, idle = means[NOISES[0], MODELS[2]], means[NOISES[0], "identity"]
    cell = matrix(html)["gaussian(sigma=0.1)", "dncnn"]
    assert cell.split() == [f"{best:.2f}", "(best)" + f"{best - idle:+.2f}"]
    assert sum("(best)" in cell for cell in matrix(html).values()) == len(NOISES)
    assert (
        f"gaussian(sigma=0.1): dncnn , {best:.2f} dB; {best - idle:.2f} dB better than doing nothing"
        in Page(html).text()
    )


def test_doing_nothing_may_win_and_losses_are_negative() -> None:
    rows = made_up.results(MODELS[:1], NOISES[:1], autoencode=False, plain=["identity"])
    rows.loc[rows["model"] == "identity", "psnr"] = 40.0
    html = make(rows)
    assert "(best)" in matrix(html)["gaussian(sigma=0.1)", "identity"]
    assert "\N{MINUS SIGN}" in matrix(html)["gaussian(sigma=0.1)", "conv"]
    assert "nothing tried here is better than doing nothing" in Page(html).text()


def test_a_margin_within_the_intervals_is_called_so() -> None:
    rows = made_up.results(MODELS[:2], NOISES[:1], autoencode=False, plain=[])
    rows["psnr"] = [25.0, 26.0, 27.0, 25.1, 26.1, 27.1]
    assert "0.10 dB ahead of conv, within their 95 % intervals." in Page(make(rows)).text()
    rows["psnr"] = [25.0, 25.01, 25.02, 27.0, 27.01, 27.02]
    assert "within" not in Page(make(rows)).text()


def test_without_psnr_the_first_metric_decides_in_its_direction() -> None:
    rows = made_up.results(MODELS[:2], NOISES[:1], autoencode=False, plain=[]).drop(columns=["psnr", "psnr_sd", "ssim"])
    html = make(rows)
    assert "MSE, lower is better" in Page(html).text()
    assert "(best)" in matrix(html)["gaussian(sigma=0.1)", "unet"]


def test_many_models_stand_below_one_another() -> None:
    levels = ["gaussian(sigma=0.1)", "gaussian(sigma=0.2)"]
    html = make(made_up.results([f"conv(width={w})" for w in range(8)], levels, cross=True, seeds=(0,)))
    assert ("conv(width=7), trained on gaussian(sigma=0.2)", "gaussian(sigma=0.1)") in matrix(html)
    assert sum("(best)" in cell for cell in matrix(html).values()) == 2


def test_warnings_stand_at_the_top() -> None:
    page = Page(make(warnings=["These are stand-in images (photos), not cifar10."]))
    assert ("p", {"class": "warning", "role": "note"}) in page.elements
    assert page.text().index("stand-in images") < page.text().index("Which denoiser wins")
    assert "warning" not in {attributes.get("class") for _, attributes in Page(make()).elements}


def test_failures_are_listed_with_their_reasons() -> None:
    page = Page(make(made_up.results(failed=2)))
    assert "loss is not finite after epoch 1" in page.text()
    assert len(page.tables[-1]) == 3
    assert "2 cells failed" in page.text()
    assert "Failures" not in Page(make()).text()


@pytest.mark.parametrize("rows", [made_up.results(seeds=(0,), failed=18), made_up.results().iloc[:0]])
def test_a_page_without_any_result_says_so(rows: pd.DataFrame) -> None:
    page = Page(make(rows, figures=[]))
    assert "Nothing has been scored yet, or every cell failed." in page.text()


def test_how_to_reproduce_names_command_version_and_commit() -> None:
    text = Page(make()).text()
    assert "noise-bench 0.1.0 , results" in text.replace("0.1.0,", "0.1.0 ,")
    assert "bench run x.yaml" in text
    assert "bench run experiment.yaml" in Page(make(conditions={})).text()


def test_missing_values_are_blank_and_empty_columns_left_out() -> None:
    rows = made_up.results()
    rows["note"] = None
    rows["share"] = [0.25] + [np.nan] * (len(rows) - 1)
    header, first, second, *_ = Page(make(rows)).tables[-1]
    assert "note" not in header
    assert (first[header.index("share")], second[header.index("share")]) == ("0.25", "")
