"""Descriptions of keys, read from docstrings."""

import dataclasses
import inspect
import re
from typing import Any


def documented(cls: type[Any]) -> tuple[str, dict[str, str]]:
    """The first line of a dataclass's docstring, and the text of every line `field: text`, those of its bases included.

    Lines that are indented deeper than their field continue its text:

    >>> @dataclasses.dataclass
    ... class Soup:
    ...     '''Water with things in it.
    ...
    ...     salt: grams of salt,
    ...         more or less.
    ...     Source: Grandmother 1950.
    ...     '''
    ...
    ...     salt: float = 1.0
    >>> documented(Soup)
    ('Water with things in it.', {'salt': 'grams of salt, more or less.'})
    """
    fields = {field.name for field in dataclasses.fields(cls)}
    texts: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        texts |= {key: text for key, text in _entries(base) if key in fields}
    return _docstring(cls).partition("\n")[0], texts


def _docstring(cls: type[Any]) -> str:
    """Without its indentation; empty where a class has none and dataclasses put its signature there."""
    text = cls.__doc__ or ""
    return "" if text.startswith(f"{cls.__name__}(") else inspect.cleandoc(text)


def _entries(cls: type[Any]) -> list[tuple[str, str]]:
    """Every line `word: text` of a class's own docstring, with the deeper lines below it."""
    _, _, below = _docstring(cls).partition("\n")
    joined = re.sub(r"(?<=\S)\n +", " ", below)
    return re.findall(r"^(\w+): (.+)$", joined, re.MULTILINE)
