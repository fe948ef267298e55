"""What a spec can name, for people to look up: lists, keys with their meaning, layers, pictures."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import click

from bench import spec
from bench.cli.terminal import console, show_table
from bench.core.errors import FieldError, SpecError, unknown
from bench.core.lazy import Lazy
from bench.core.plugins import load_plugins
from bench.core.registry import Registered, Registry
from bench.core.schema import class_schema
from bench.core.values import as_text
from bench.datasets import datasets
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from bench.results.files import write
from bench.spec.entries import Use

levels = Lazy("bench.cli.levels")
complexity = Lazy("bench.training.complexity")

REGISTRIES: dict[str, Registry[Any]] = {"noises": noises, "models": models, "datasets": datasets, "metrics": metrics}
PICTURES = (".png", ".svg", ".pdf")


def list_registered(kind: str, plugins: tuple[str, ...]) -> None:
    """Print each name with its summary and keys."""
    plugin_files(plugins)
    registry = REGISTRIES[kind]
    shared = [*registry.base.field_names(), *(Use.field_names() if registry is models else ())]
    rows = []
    for name in registry:
        keys = [key for key in registry[name].accepted() if key not in shared]
        rows.append((name, registry[name].describe()[0], ", ".join(keys)))
    screen = console()
    show_table(screen, ("name", "what it is", "keys"), rows)
    if shared:
        screen.print(f"Keys of every {registry.kind}: {', '.join(shared)}")


def show_noise(name: str, output: Path | None, plugins: tuple[str, ...]) -> None:
    """Print a noise's keys and, where a file is named for it, draw its levels side by side."""
    plugin_files(plugins)
    noise = default_of(noises, name)
    kind = output.suffix.lower() if output else ""
    if output and kind not in PICTURES:
        raise SpecError(f"--output {output}: its name must end in one of {', '.join(PICTURES)}")
    _print_keys(noises[name])
    if output:
        write(output, levels.figure(noise, kind.removeprefix(".")))
        console().print(f"levels side by side: {output}")
    else:
        console().print(f"\n`bench show noise {name} -o {name}.png` draws its levels side by side")


def show_model(name: str, size: int, plugins: tuple[str, ...]) -> None:
    """Print a model's keys, layers and cost."""
    plugin_files(plugins)
    model = default_of(models, name)
    _print_keys(models[name])
    recipe = ", ".join(f"{key}: {as_text(value)}" for key, value in model.recipe.items())
    rows = [
        (layer.name, layer.kind, " x ".join(map(str, layer.shape)), f"{layer.parameters:,}")
        for layer in complexity.layers(model, size)
    ]
    screen = console()
    if recipe:
        screen.print(f"\nrecipe, unless a spec sets optimizer or the key: {recipe}")
    screen.print()
    show_table(screen, ("layer", "type", "output (C x H x W)", "parameters"), rows)
    cost = complexity.complexity(model, size)
    macs = "no multiply-accumulates counted" if cost.macs is None else f"{cost.macs:,} multiply-accumulates per image"
    screen.print(f"{model.label()} at 3 x {size} x {size}: {cost.parameters:,} parameters, {macs}")


def plugin_files(files: tuple[str, ...]) -> tuple[str, ...]:
    """The files' absolute paths, after loading them and the installed plug-ins; warns of those that are broken."""
    absolute = tuple(str(Path(file).resolve()) for file in files)
    for failure in load_plugins(absolute).broken:
        click.echo(f"Warning: {failure}. Going on without it; --no-plugins skips installed plug-ins", err=True)
    return absolute


def default_of(registry: Registry[Any], name: str) -> Any:
    """What a name alone stands for. Raises SpecError where there is no such name or it needs keys."""
    if name not in registry:
        raise SpecError(unknown(registry.kind, name, registry))
    try:
        return registry.parse(name)
    except FieldError as error:
        keys = ".".join(map(str, error.path))
        raise SpecError(f"{registry.kind} {name!r} needs more than its name: {keys}: {error.message}") from None


def _print_keys(cls: type[Registered]) -> None:
    screen = console()
    summary, texts = cls.describe()
    screen.print(f"{cls.name}: {summary}" if summary else cls.name)
    source = inspect.getdoc(cls) or ""
    if "Source:" in source:
        screen.print(source[source.index("Source:") :])
    described = class_schema(cls)["properties"]
    fields = {field.name: field for field in dataclasses.fields(cls)}
    rows = [
        (key, _default_text(fields.get(key)), texts.get(key) or described[key]["description"]) for key in cls.accepted()
    ]
    if rows:
        screen.print()
        show_table(screen, ("key", "default", "what it is"), rows)


def _default_text(field: "dataclasses.Field[Any] | None") -> str:
    if field is None:
        return ""
    if field.default is not dataclasses.MISSING:
        return as_text(field.default)
    return "(needed)" if field.default_factory is dataclasses.MISSING else as_text(field.default_factory())


def spec_schema(plugins: tuple[str, ...]) -> dict[str, Any]:
    """JSON Schema of a spec."""
    plugin_files(plugins)
    return spec.schema()
