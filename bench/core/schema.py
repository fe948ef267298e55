"""JSON Schema of classes whose fields are YAML keys, for editors."""

from typing import Any

from pydantic import TypeAdapter

from bench.core.settings import Settings


def class_schema(cls: type[Settings]) -> dict[str, Any]:
    """JSON Schema of a class's keys, with their descriptions, and grids in place of single values."""
    summary, texts = cls.describe()
    fields = TypeAdapter(cls).json_schema().get("properties", {})
    properties = {
        key: {
            "description": texts.get(key, schema.get("description", "")),
            "anyOf": with_grids(schema, cls.takes_list(key)),
        }
        for key, schema in cls.key_schemas(fields).items()
    }
    return {"type": ["object", "null"], "description": summary, "properties": properties, "additionalProperties": False}


def with_grids(value: dict[str, Any], takes_list: bool = False) -> list[dict[str, Any]]:
    """JSON Schemas of a value and of the grids that a spec may write in its place."""
    several = {"type": "array", "items": value, "minItems": 1}
    values = {**several, "description": "values to try, each a point of the grid"}
    grid = {"type": "object", "properties": {"grid": values}, "required": ["grid"], "additionalProperties": False}
    return [value, grid] if takes_list else [value, several, grid]
