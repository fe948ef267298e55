"""The grammar of labels, `name(key=value, ...)`, written and read here only."""

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Label:
    """The name of a noise, model, dataset or metric, with its parameters in order and as text.

    >>> str(Label("masking", (("p", "0.25"), ("per", "pixel"))))
    'masking(p=0.25, per=pixel)'
    >>> Label.parse("compose(of=[gaussian(sigma=0.1), masking(p=0.2)], clip=false)").params
    (('of', '[gaussian(sigma=0.1), masking(p=0.2)]'), ('clip', 'false'))

    rest: the text after the closing bracket.
    """

    name: str
    params: tuple[tuple[str, str], ...] = ()
    rest: str = ""

    @classmethod
    def parse(cls, text: str) -> "Label":
        """The parts of a label. Never fails: text of another form is a name without parameters."""
        found = re.match(r"[^()\s,]+\(", text)
        if not found:
            return cls(text)
        *parts, rest = _split(text[found.end() :])
        pairs = [tuple(part.split("=", 1)) for part in parts]
        if any(len(pair) != 2 for pair in pairs):
            return cls(text)
        return cls(found[0][:-1], tuple((key, value) for key, value in pairs), rest)

    def __str__(self) -> str:
        shown = ", ".join(f"{key}={value}" for key, value in self.params)
        return f"{self.name}({shown}){self.rest}" if shown else f"{self.name}{self.rest}"


def shortened(labels: Iterable[Label], keep: int = 0, always: str = "") -> dict[Label, Label]:
    """Each label without the parameters that all labels of its name share.

    >>> labels = [Label.parse("conv(width=8, depth=2)"), Label.parse("conv(width=9, depth=2)")]
    >>> [str(label) for label in shortened(labels).values()]
    ['conv(width=8)', 'conv(width=9)']

    keep: how many leading parameters stay in any case. always: a parameter that does.
    The results differ from one another wherever the labels do.
    """
    given = list(dict.fromkeys(labels))
    varying = {name: _varying([label for label in given if label.name == name]) for name in {g.name for g in given}}
    brief = {
        label: Label(
            label.name,
            tuple(pair for i, pair in enumerate(label.params) if i < keep or pair[0] in {always, *varying[label.name]}),
            label.rest,
        )
        for label in given
    }
    return brief if len(set(map(str, brief.values()))) == len(given) else {label: label for label in given}


def _varying(labels: list[Label]) -> set[str]:
    """The keys whose values differ among labels of one name."""
    params = [dict(label.params) for label in labels]
    return {key for one in params for key in one if len({other.get(key) for other in params}) > 1}


def _split(text: str) -> list[str]:
    """The text before the closing bracket, split at its commas, and last the text after that bracket.

    Two empty parts where the bracket is never closed.
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
