"""Errors that users can cause, each with its exit code."""

import json
from collections.abc import Iterable
from difflib import get_close_matches

MERGED = " It merges keys in YAML 1.1 only, and specs are YAML 1.2: write the keys out."


# What the field, its papers and its libraries call some of the names here.
OTHER_WORDS = {
    **dict.fromkeys(("std", "stddev", "noise_level", "standard_deviation", "variance"), "sigma"),
    **dict.fromkeys(("prob", "probability", "amount", "density", "ratio", "rate"), "p"),
    **dict.fromkeys(("channels", "filters", "features"), "width"),
    **dict.fromkeys(("learning_rate", "step_size"), "lr"),
    **dict.fromkeys(("train", "start", "execute"), "run"),
    "bf16": "bfloat16",
    "fp32": "float32",
    "gpu": "cuda",
    "l2": "weight_decay",
    "layers": "depth",
}


class BenchError(Exception):
    """An error to report in a few lines, without a traceback."""

    exit_code = 2


class SpecError(BenchError):
    """A spec that can't be run. The message names the line, the value and what is valid."""


class DataError(BenchError):
    """Data that is unavailable: absent, unreachable or damaged."""

    exit_code = 3


class FieldError(BenchError, ValueError):
    """A bad value inside a spec. A ValueError, since pydantic lets only those through its validation.

    path: the keys and indices that lead to the value, outermost first.
    """

    def __init__(self, message: str, path: Iterable[str | int] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.path = tuple(path)

    def under(self, *outer: str | int) -> "FieldError":
        """The same error with outer keys and indices before its path."""
        return FieldError(self.message, (*outer, *self.path))


def unknown(what: str, given: object, valid: Iterable[str]) -> str:
    """A message that a name is unknown, with the nearest valid name and a list of all.

    >>> unknown("noise", "gausian", ["gaussian", "masking"])
    "unknown noise 'gausian'. Did you mean gaussian? Valid: gaussian, masking"
    """
    names = list(valid)
    hint = MERGED if given == "<<" else nearest(given, names)
    return f"unknown {what} {shorten(given)}.{hint} Valid: {', '.join(names) or '(none)'}"


def nearest(given: object, valid: Iterable[str]) -> str:
    """A question whether the nearest of the valid names was meant, after a space; nothing where none is near."""
    names, text = list(valid), str(given)[:100].lower()
    other = {word: name for word, name in OTHER_WORDS.items() if name in names}
    part = [name for name in names if min(len(text), len(name)) > 2 and (text in name or name in text)]
    known = [*names, *other]
    near = get_close_matches(text, known, 1, 0.8) or part[:1] or get_close_matches(text, known, 1, 0.5)
    return f" Did you mean {other.get(near[0], near[0])}?" if near else ""


def shorten(value: object, limit: int = 60) -> str:
    """A value for a message: text quoted, lists and mappings as JSON, abbreviated if long."""
    if value is None:
        return "nothing"
    structured = isinstance(value, bool | list | dict)
    text = json.dumps(value, ensure_ascii=False, default=repr) if structured else repr(value)
    length = len(value) if isinstance(value, str) else len(text)
    return text if len(text) <= limit else f"{text[: limit - 12]}... ({length:,} characters)"
