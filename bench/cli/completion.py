"""What a shell offers at Tab: names of noises, models, datasets and specs; keys of `--set` and their values."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import click
from click.shell_completion import CompletionItem

from bench.core.lazy import Lazy

datasets = Lazy("bench.datasets")
models = Lazy("bench.models")
noises = Lazy("bench.noises")
bundled = Lazy("bench.spec.bundled")
schemas = Lazy("bench.spec.schema")

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def names(kind: str) -> Complete:
    """Completes the name of a noise, model or dataset."""
    registries = {"noises": noises, "models": models, "datasets": datasets}

    def complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
        registry = getattr(registries[kind], kind)
        return [CompletionItem(name, help=registry[name].describe()[0]) for name in registry if name.startswith(typed)]

    return complete


def specs(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """Files, and the specs that come with the package; files first, since bash forgets what stands before them."""
    found = [CompletionItem(name) for name in bundled.bundled() if name.startswith(typed)]
    return [CompletionItem(typed, type="file"), *found]


def assignments(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    """The keys that `--set` takes, and after the `=` what a key can be set to where that is a choice."""
    keys = dict(_keys(schemas.schema()))
    key, equals, _ = typed.partition("=")
    if equals:
        offered = [CompletionItem(f"{key}={value}") for value in keys.get(key, {}).get("values", ())]
    else:
        offered = [CompletionItem(f"{key}=", help=found["help"]) for key, found in keys.items()]
    return [item for item in offered if item.value.startswith(typed)]


def _keys(schema: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each dotted key of a spec with its description and choices."""
    kinds = {"models": "model", "noises": "noise", "test_noises": "noise", "metrics": "metric"}
    for key, described in schema["properties"].items():
        listed = schema["$defs"][kinds[key]]["anyOf"][0]["enum"] if key in kinds else ()
        yield key, {"help": described["description"], "values": [f"[{name}]" for name in listed]}
        below = (described, *described.get("anyOf", ()))
        for inner, value in ((k, v) for part in below for k, v in part.get("properties", {}).items()):
            yield f"{key}.{inner}", {"help": value["description"], "values": _choices(value)}


def _choices(value: Mapping[str, Any]) -> list[str]:
    first = value["anyOf"][0] if "anyOf" in value else value
    return [str(choice) for choice in first.get("enum", ())]
