"""How the value of a field is written: as plain JSON in specs and results, as text in labels."""

import json
from typing import Any


class Written:
    """A value that isn't plain JSON and knows how it is written."""

    def node(self) -> dict[str, Any]:
        """As a spec has it."""
        raise NotImplementedError

    def label(self) -> str:
        """As tables and figures have it."""
        raise NotImplementedError


def plain(value: Any) -> Any:
    """A field's value as plain JSON."""
    if isinstance(value, Written):
        return value.node()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    return value


def as_text(value: Any) -> str:
    """A field's value as labels show it."""
    if isinstance(value, Written):
        return value.label()
    if isinstance(value, tuple | list):
        return "[" + ", ".join(as_text(item) for item in value) + "]"
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return str(value)


def from_text(text: str) -> Any:
    """What `as_text` wrote."""
    try:
        return json.loads(text)
    except ValueError:
        return text
