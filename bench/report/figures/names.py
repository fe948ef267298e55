"""Names wrapped to the room they have in a figure."""

import re
import textwrap
from collections.abc import Iterable


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
