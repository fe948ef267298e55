"""The grammar of labels, `name(key=value, ...)`, written and read here only."""

import re
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Label:
    """The name of a noise, model, dataset or metric, with its parameters in order and as text.

    >>> str(Label("masking", {"p": "0.25", "per": "pixel"}))
    'masking(p=0.25, per=pixel)'
    >>> Label.parse("compose(of=[gaussian(sigma=0.1), masking(p=0.2)], clip=false)").params
    {'of': '[gaussian(sigma=0.1), masking(p=0.2)]', 'clip': 'false'}

    rest: the text after the closing bracket.
    """

    name: str
    params: dict[str, str] = field(default_factory=dict)
    rest: str = ""

    @classmethod
    def parse(cls, text: str) -> "Label":
        """The parts of a label. Never fails: text of another form is a name without parameters."""
        found = re.match(r"[^()\s,]+\(", text)
        if not found:
            return cls(text)
        *parts, rest = _split(text[found.end() :])
        pairs = [part.split("=", 1) for part in parts]
        if any(len(pair) != 2 for pair in pairs):
            return cls(text)
        return cls(found[0][:-1], dict(pairs), rest)

    def __str__(self) -> str:
        shown = ", ".join(f"{key}={value}" for key, value in self.params.items())
        return f"{self.name}({shown}){self.rest}" if shown else f"{self.name}{self.rest}"


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
