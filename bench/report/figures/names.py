"""What things are called in a figure: short names and wrapped names."""

import re
import textwrap
from collections.abc import Iterable

from bench.core.labels import Label


def short(labels: Iterable[str], keep: int = 0) -> dict[str, str]:
    """Each label without the parameters that don't vary among the labels of its name.

    keep: how many leading parameters stay in any case. Returns one unique short name per label.
    """
    parsed = {label: Label.parse(label) for label in labels}
    varying: dict[str, set[str]] = {}
    for one in parsed.values():
        alike = [other.params for other in parsed.values() if other.name == one.name]
        keys = {key for params in alike for key in params}
        varying[one.name] = {key for key in keys if len({params.get(key) for params in alike}) > 1}
    brief = {label: str(_without(one, varying[one.name], keep)) for label, one in parsed.items()}
    return brief if len(set(brief.values())) == len(brief) else {label: label for label in brief}


def _without(label: Label, varying: set[str], keep: int) -> Label:
    params = {key: text for i, (key, text) in enumerate(label.params.items()) if i < keep or key in varying}
    return Label(label.name, params, label.rest)


class Wrapper(textwrap.TextWrapper):
    """Breaks lines at spaces, and after the signs that names and settings are made of."""

    wordsep_simple_re = re.compile(r"(\s+|(?<=[_=])(?=\S))")


def wrap_all(names: Iterable[str], width: int, lines: int) -> dict[str, str]:
    """Each name wrapped to `width` characters and at most `lines` lines; unique for unique names."""
    fit: dict[str, str] = {}
    for name in dict.fromkeys(names):
        text = wrapped(name, width, lines)
        if text in fit.values():
            number = f"… #{len(fit) + 1}"
            text = text[: -len(number)] + number
        fit[name] = text
    return fit


def wrapped(text: str, width: int, lines: int | None = None) -> str:
    """Text broken into lines of at most `width` characters; its middle left out where more than `lines` come."""
    text = " ".join(text.split())
    found = _lines(text, width)
    keep = min(len(text), width * (lines or len(text)))
    while lines and len(found) > lines:
        keep -= 1
        found = _lines(f"{text[: keep - keep // 2]}…{text[len(text) - keep // 2 :]}", width)
    return "\n".join(found)


def _lines(text: str, width: int) -> list[str]:
    if len(text) <= width:
        return [text]
    return Wrapper(width, break_on_hyphens=False).wrap(re.sub(r"(?<=\S)\(", " (", text))
