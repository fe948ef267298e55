"""What things are called in a figure: short names and wrapped names."""

import re
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """A label `name(key=value, ...)rest` taken apart; params in their order, values as text."""

    name: str
    params: dict[str, str]
    rest: str = ""

    @classmethod
    def parse(cls, text: str) -> "Label":
        """Never fails: what doesn't look like a label is a name without parameters."""
        found = re.match(r"[^()\s,]+\(", text)
        if not found:
            return cls(text, {})
        *parts, rest = _split(text[found.end() :])
        pairs = [part.split("=", 1) for part in parts]
        if any(len(pair) != 2 for pair in pairs):
            return cls(text, {})
        return cls(found[0][:-1], dict(pairs), rest)

    def text(self) -> str:
        """The label as it was written."""
        shown = ", ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.name}({shown}){self.rest}" if shown else f"{self.name}{self.rest}"


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
    brief = {
        label: Label(
            one.name,
            {key: value for i, (key, value) in enumerate(one.params.items()) if i < keep or key in varying[one.name]},
            one.rest,
        ).text()
        for label, one in parsed.items()
    }
    return brief if len(set(brief.values())) == len(brief) else {label: label for label in brief}


class Wrapper(textwrap.TextWrapper):
    """Breaks lines at spaces, and after the signs that names and settings are made of."""

    wordsep_simple_re = re.compile(r"(\s+|(?<=[_=])(?=\S))")


def fitted(names: Iterable[str], width: int, lines: int) -> dict[str, str]:
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


def _split(text: str) -> list[str]:
    """What stands before the bracket that closes, parted at its commas, and then what comes after that bracket.

    One empty part where no bracket closes.
    """
    parts, depth = [""], 1
    for position, character in enumerate(text):
        depth += (character in "([{") - (character in ")]}")
        if depth == 0:
            return [*(part.strip() for part in parts), text[position + 1 :]]
        if character == "," and depth == 1:
            parts.append("")
        else:
            parts[-1] += character
    return ["", ""]
