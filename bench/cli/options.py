"""What commands have in common: the group that they form, options and kinds of values."""

import math
import os
import signal
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bench.cli import completion
from bench.core.errors import BenchError, DataError, nearest, unknown
from bench.core.plugins import SKIPPED

Command = TypeVar("Command", bound=Callable[..., Any])

KINDS = ("noises", "models", "datasets", "metrics")
INTERNAL = 70  # what sysexits.h calls an internal software error
SIGNALLED = 128  # and the number of a signal, as shells have it


class Group(click.Group):
    """Turns what users can cause into a few lines and an exit code, never a traceback."""

    def resolve_command(self, context: click.Context, words: list[str]) -> Any:
        """As click does, and with the words that people use for a command."""
        name = words[0]
        if self.get_command(context, name) is None and not name.startswith("-"):
            context.fail(f"no such command {name!r}.{nearest(name, self.list_commands(context))}")
        return super().resolve_command(context, words)

    def invoke(self, context: click.Context) -> Any:
        try:
            return super().invoke(context)
        except BenchError as error:
            click.echo(f"Error: {error}", err=True)
            context.exit(error.exit_code)
        except KeyboardInterrupt as error:
            click.echo(
                "Interrupted: everything that was finished is kept; the same command goes on from there.", err=True
            )
            context.exit(SIGNALLED + getattr(error, "number", signal.SIGINT))
        except BrokenPipeError:
            raise
        except OSError as error:
            where = f"{error.filename}: " if error.filename else ""
            click.echo(f"Error: {where}{error.strerror or error}", err=True)
            context.exit(DataError.exit_code)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception:
            traceback.print_exc()
            click.echo("Error: a fault of noise-bench itself; please report it with the lines above", err=True)
            context.exit(INTERNAL)


class Decibels(click.FloatRange):
    """A finite number of dB, at least 0: with `nan` or `inf` nothing would ever be worse."""

    def __init__(self) -> None:
        super().__init__(min=0)

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> Any:
        found = super().convert(value, param, context)
        return found if math.isfinite(found) else self.fail(f"{found} is not a finite number.", param, context)


class Kind(click.Choice[str]):
    """What can be listed, in the singular too."""

    def __init__(self) -> None:
        super().__init__(KINDS)

    def convert(self, value: Any, param: click.Parameter | None, context: click.Context | None) -> str:
        plural = value if value in KINDS else f"{value}s"
        if plural not in KINDS:
            self.fail(unknown("kind", value, KINDS), param, context)
        return plural


def plugin_options(command: Command) -> Command:
    """`--plugin FILE ...`, classes of the user's own, and `--no-plugins`."""
    for decorate in (
        click.option(
            "--plugin", "plugins", multiple=True, metavar="FILE", help="Python file that registers noises, models, ..."
        ),
        click.option(
            "--no-plugins",
            is_flag=True,
            expose_value=False,
            callback=skip_plugins,
            help="Leave out the plug-ins of installed packages.",
        ),
    ):
        command = decorate(command)
    return command


def quiet_option(command: Command) -> Command:
    """`--quiet`."""
    text = "Only the best of each noise, warnings and where results are."
    return click.option("--quiet", is_flag=True, help=text)(command)


def skip_plugins(context: click.Context, option: click.Parameter, given: bool) -> None:
    """What `--no-plugins` does, in this process and in its workers."""
    if given:
        os.environ[SKIPPED] = "1"


def spec_options(command: Command) -> Command:
    """A spec, its overrides and where results go."""
    for decorate in (
        click.argument("spec", type=click.Path(path_type=Path), shell_complete=completion.specs),
        click.option(
            "--set",
            "overrides",
            multiple=True,
            metavar="KEY=VALUE",
            help="Set one value, as in train.epochs=2.",
            shell_complete=completion.assignments,
        ),
        click.option(
            "--results",
            default="results",
            type=click.Path(path_type=Path),
            help="Folder of all results.",
            show_default=True,
        ),
        plugin_options,
    ):
        command = decorate(command)
    return command
