"""The JSON Schema of a spec explains every key."""

from collections.abc import Iterator
from typing import Any

from bench import spec


def undescribed(schema: Any, path: str = "") -> Iterator[str]:
    """The keys without a description; a node's one key is a name, whose value describes it."""
    if isinstance(schema, list):
        for item in schema:
            yield from undescribed(item, path)
    if isinstance(schema, dict):
        for key, value in schema.get("properties", {}).items():
            if not value.get("description"):
                yield f"{path}/{key}"
        for key, value in schema.items():
            if key == "properties":
                for name, inner in value.items():
                    yield from undescribed(inner, f"{path}/{name}")
            else:
                yield from undescribed(value, path)


def test_every_key_is_described() -> None:
    schema = spec.schema()
    assert len(schema["properties"]) == 10
    assert list(undescribed(schema)) == []
