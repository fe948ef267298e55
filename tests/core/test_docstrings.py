"""Descriptions of keys: every key has one, read from the docstring by its indentation."""

import inspect
import textwrap
from dataclasses import dataclass
from typing import Any

import pytest

from bench.core.docstrings import documented
from bench.core.registry import Registry
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from tests.helpers.dishes import Soup


def test_documentation_comes_from_the_docstrings() -> None:
    summary, texts = Soup.describe()
    assert summary == "Water with things in it."
    assert texts == {
        "warm": "whether it is served warm.",
        "salt": "grams of salt, more or less.",
        "kind": "what swims in it.",
        "tops": "what lies on it.",
        "pinch": "herbs, if any.",
    }


@pytest.mark.parametrize("indent", ["", "    "], ids=["Python 3.13 and newer", "Python 3.12 and older"])
def test_the_indentation_that_python_keeps_of_a_docstring_does_not_matter(
    indent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = documented(Soup)
    summary, _, below = inspect.cleandoc(Soup.__doc__ or "").partition("\n")
    monkeypatch.setattr(Soup, "__doc__", f"{summary}\n{textwrap.indent(below, indent)}\n{indent}")
    assert documented(Soup) == expected
    assert expected[1]["salt"] == "grams of salt, more or less."


@pytest.mark.parametrize("registry", [noises, metrics, models], ids=lambda registry: registry.kind)
def test_every_key_of_everything_registered_is_documented(registry: Registry[Any]) -> None:
    for name in registry:
        summary, texts = registry[name].describe()
        assert summary.endswith("."), name
        assert set(texts) == set(registry[name].field_names()), name


def test_lines_deeper_than_their_key_continue_its_text() -> None:
    @dataclass
    class Dish:
        """Something to eat: said in one line.

        salt: grams of salt,
         more or less;
              pepper: is another matter.
        pepper: none.
        Not served on Sundays.
            Nor is this about pepper.
        unknown: not a field,
            nor is this.
        late: a field all the same

            but this, after a blank line, is not part of it.
        """

        salt: float = 1.0
        pepper: float = 0.0
        late: bool = False

    assert documented(Dish) == (
        "Something to eat: said in one line.",
        {
            "salt": "grams of salt, more or less; pepper: is another matter.",
            "pepper": "none.",
            "late": "a field all the same",
        },
    )


def test_a_class_may_describe_a_key_of_its_base_anew() -> None:
    @dataclass(frozen=True)
    class Hot(Soup):
        """Soup with pepper.

        kind: what burns in it.
        """

    summary, texts = documented(Hot)
    assert summary == "Soup with pepper."
    assert (texts["kind"], texts["tops"]) == ("what burns in it.", "what lies on it.")


def test_a_class_without_a_docstring_has_no_descriptions() -> None:
    @dataclass
    class Bare:
        salt: float = 1.0

    assert Bare.__doc__ == "Bare(salt: float = 1.0)"
    assert documented(Bare) == ("", {})
