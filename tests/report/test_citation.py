"""How to cite: CITATION.cff is complete and says what the package and the report say."""

import re
import tomllib
from pathlib import Path

import yaml

from bench.report.citation import AUTHORS, TITLE, YEAR, bibtex
from bench.report.page import Facts
from tests.helpers.html import Page
from tests.report.test_page import make

ROOT = Path(__file__).parents[2]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
# Keys that the schema of CFF 1.2.0 knows, and those it requires.
KNOWN = {
    "abstract", "authors", "cff-version", "commit", "contact", "date-released", "doi", "identifiers", "keywords",
    "license", "license-url", "message", "preferred-citation", "references", "repository", "repository-artifact",
    "repository-code", "title", "type", "url", "version",
}  # fmt: skip
REQUIRED = {"cff-version", "message", "title", "authors"}


def test_the_citation_file_is_one_of_its_schema() -> None:
    assert (
        REQUIRED | {"abstract", "date-released", "keywords", "license", "type", "version"} <= CITATION.keys() <= KNOWN
    )
    assert CITATION["cff-version"] == "1.2.0" and CITATION["type"] == "software"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", CITATION["date-released"])
    assert all(isinstance(CITATION[key], str) for key in ("message", "title", "abstract", "license", "version"))
    assert all(author.keys() == {"name"} for author in CITATION["authors"]), "an entity has a name"
    assert len(CITATION["keywords"]) == len(set(CITATION["keywords"]))


def test_it_agrees_with_the_package() -> None:
    assert CITATION["version"] == PROJECT["version"]
    assert CITATION["license"] == PROJECT["license"]
    assert CITATION["keywords"] == PROJECT["keywords"]


def test_the_report_gives_the_same_as_bibtex() -> None:
    assert CITATION["title"] == TITLE
    assert [author["name"] for author in CITATION["authors"]] == [AUTHORS]
    assert CITATION["date-released"].startswith(f"{YEAR}-")
    entry = bibtex("0.1.0", "abc123")
    assert entry.splitlines()[0] == "@software{noise-bench," and entry.splitlines()[-1] == "}"
    assert entry.count("{") == entry.count("}")
    assert "version = {0.1.0}," in entry and "note = {commit abc123}," in entry
    assert "version" not in bibtex() and "note" not in bibtex()
    assert " ".join(entry.split()) in Page(make(facts=Facts({}, "0.1.0", "abc123"))).text()
