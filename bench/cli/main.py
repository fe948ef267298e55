"""The command line. Each command is a few lines over the modules that do the work, which load when it runs."""

import io
import json
import math
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from bench.cli import completion
from bench.core.errors import BenchError, DataError, nearest, unknown
from bench.core.lazy import Lazy
from bench.core.plugins import SKIPPED

catalogue = Lazy("bench.cli.catalogue")
data_command = Lazy("bench.cli.data")
denoise_command = Lazy("bench.cli.denoise")
init_command = Lazy("bench.cli.init")
plan_command = Lazy("bench.cli.plan")
prune_command = Lazy("bench.cli.prune")
results_command = Lazy("bench.cli.results")
run_command = Lazy("bench.cli.run")
selfcheck_command = Lazy("bench.cli.selfcheck")
machine = Lazy("bench.core.machine")
Command = TypeVar("Command", bound=Callable[..., Any])

KINDS = ("noises", "models", "datasets", "metrics")
INTERNAL = 70  # what sysexits.h calls an internal software error
INTERRUPTED = 130


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
        except KeyboardInterrupt:
            click.echo(
                "Interrupted: everything that was finished is kept; the same command goes on from there.", err=True
            )
            context.exit(INTERRUPTED)
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


def print_version(context: click.Context, option: click.Parameter, given: bool) -> None:
    """What `--version` does; a checkout that was never installed has no version."""
    if given and not context.resilient_parsing:
        click.echo(f"bench {machine.installed('noise-bench') or '(not installed)'}")
        context.exit()


@click.group("bench", cls=Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=print_version, help="Show the version."
)
def main() -> None:
    """Which autoencoder removes which noise, how well, and at what cost."""


@main.command()
@spec_options
@click.option("--workers", type=click.IntRange(1), help="Number of local processes; default: one per processor.")
@click.option("--no-figures", is_flag=True, help="Write the tables only; `bench report` draws the figures later.")
@quiet_option
@click.option("--verbose", is_flag=True, help="Say why images stand in for others.")
def run(
    spec: Path,
    overrides: tuple[str, ...],
    results: Path,
    plugins: tuple[str, ...],
    workers: int | None,
    no_figures: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Train and score what SPEC asks for; what is finished already is kept.

    SPEC is a YAML file, or the name of one that comes with the package, such as smoke or default.

    Exit codes: 0 all done, 1 a cell failed (the others are kept), 2 the spec or command is wrong,
    3 the data are unavailable, 70 an internal error, 130 interrupted.
    """
    sys.exit(run_command.run(spec, overrides, results, plugins, workers, not no_figures, quiet, verbose))


@main.command()
@spec_options
@click.option("--verbose", is_flag=True, help="Say why images stand in for others.")
@click.option("--measure", is_flag=True, help="Benchmark each kind of work first.")
@click.option("--workers", type=click.IntRange(1), help="Forecast for this many processes.")
def plan(
    spec: Path,
    overrides: tuple[str, ...],
    results: Path,
    plugins: tuple[str, ...],
    measure: bool,
    workers: int | None,
    verbose: bool,
) -> None:
    """Show the cells of SPEC: what is done, what is left, and how long that takes."""
    plan_command.plan(spec, overrides, results, plugins, measure, workers, verbose)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@quiet_option
@plugin_options
def report(folder: Path, plugins: tuple[str, ...], quiet: bool) -> None:
    """Rebuild tables, figures and report.html of a results FOLDER from what is stored."""
    results_command.report(folder, plugins, quiet)


@main.command("open")
@click.argument("folder", default="results/default", type=click.Path(path_type=Path))
def open_(folder: Path) -> None:
    """Show the report of a results FOLDER, by default results/default, in the browser."""
    results_command.open_report(folder)


@main.command()
@click.argument("before", metavar="A", type=click.Path(path_type=Path))
@click.argument("after", metavar="[B]", required=False, type=click.Path(path_type=Path))
@click.option("--metric", default="psnr", show_default=True, help="The metric that decides, by its column.")
@click.option("--max-drop", type=Decibels(), metavar="DB", help="What B may lose of it; 0.1 where its unit is dB.")
@click.option("--models", default="", metavar="NAMES", help="With A alone: the models to compare, as unet,dncnn.")
@click.option("--against", default="", metavar="NAME", help="With A alone: the one model to compare the others with.")
@click.option("--allow-missing", is_flag=True, help="B may lack rows and metrics that A has.")
@click.option("--allow-undecided", is_flag=True, help="Exit with 0 where rows below what B may lose are undecided.")
@click.option("--all", "show", flag_value="all", help="Show rows without a change too.")
@click.option("--quiet", "show", flag_value="summary", help="Only the summary and what is missing.")
@click.option("--csv", type=click.Path(path_type=Path), help="Also write the differences as CSV.")
@click.option("--markdown", type=click.Path(path_type=Path), help="Also write them as Markdown.")
@click.option("-o", "--output", "figures", type=click.Path(path_type=Path), help="Draw them into this folder.")
@plugin_options
def compare(before: Path, after: Path | None, plugins: tuple[str, ...], show: str | None, **asked: Any) -> None:
    """Compare two results folders: is B better or worse than A? Or the models of one, A alone.

    Exit codes: 0 no worse, 1 worse or something of A is missing in B, 2 not comparable: other protocols or unfinished,
    3 undecided with a mean below what B may lose, 70 an internal error.
    """
    wanted = results_command.Asked(show=show or "changes", **asked)
    sys.exit(results_command.compare(before, after, wanted, plugins))


@main.command()
def selfcheck() -> None:
    """Compute known answers again on this machine, in a minute: exit code 0 if all are as they must be, 1 otherwise."""
    sys.exit(selfcheck_command.selfcheck())


@main.command()
@click.argument("folder", default="results/default", type=click.Path(path_type=Path))
@click.option("--yes", is_flag=True, help="Don't ask.")
@plugin_options
def prune(folder: Path, yes: bool, plugins: tuple[str, ...]) -> None:
    """Remove the cells of a results FOLDER that its plan doesn't name, after asking.

    Such cells are left by another spec of the same name.
    """
    prune_command.prune(folder, yes, plugins)


@main.command("list")
@click.argument("kind", type=Kind())
@plugin_options
def list_(kind: str, plugins: tuple[str, ...]) -> None:
    """List what a spec can name."""
    catalogue.list_registered(kind, plugins)


@main.group()
def show() -> None:
    """Show one noise or model in full."""


@show.command("noise")
@click.argument("name", shell_complete=completion.names("noises"))
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Draw its levels side by side into this file.")
@plugin_options
def show_noise(name: str, output: Path | None, plugins: tuple[str, ...]) -> None:
    """Keys of a noise and, with -o, a picture of its levels side by side."""
    catalogue.show_noise(name, output, plugins)


@show.command("model")
@click.argument("name", shell_complete=completion.names("models"))
@click.option("--size", type=click.IntRange(8, 512), default=32, show_default=True, help="Side of the images.")
@plugin_options
def show_model(name: str, size: int, plugins: tuple[str, ...]) -> None:
    """Keys of a model, its layers with the size after each, parameters and multiply-accumulates."""
    catalogue.show_model(name, size, plugins)


@main.command()
@click.argument("file", default="experiment.yaml", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite FILE.")
def init(file: Path, force: bool) -> None:
    """Write a commented spec to start from to FILE, experiment.yaml by default."""
    init_command.init(file, force)


@main.command()
@click.argument("name", default="cifar10", shell_complete=completion.names("datasets"))
@click.option("--root", "roots", multiple=True, metavar="FOLDER", help="Pictures of your own, for `bench data folder`.")
@click.option("--test-root", metavar="FOLDER", help="Pictures to test on instead of those that the roots have.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Picture file for a contact sheet of each part.")
@click.option("--all", "every", is_flag=True, help="Name each picture, not only their kinds.")
@plugin_options
def data(
    name: str, roots: tuple[str, ...], test_root: str | None, output: Path | None, every: bool, plugins: tuple[str, ...]
) -> None:
    """Fetch and verify a dataset now, or that of a spec, and say what its pictures are taken as."""
    data_command.fetch(name, roots, test_root, output, every, plugins)


@main.command()
@click.argument("images", metavar="IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--with",
    "trained",
    required=True,
    type=click.Path(path_type=Path),
    help="Results folder, or folder of one trained cell: results/NAME/cells/ID.",
)
@click.option(
    "--model",
    default="",
    help="Which model of the results: unet, or 'unet 32' for one of several widths.",
    shell_complete=completion.names("models"),
)
@click.option(
    "--noise",
    default="",
    help="Trained on, or fitted to, which noise: gaussian, or 'gaussian 0.1'.",
    shell_complete=completion.names("noises"),
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where the picture goes; a folder for several. Default: NAME-denoised beside the picture.",
)
@click.option(
    "--clean",
    metavar="ORIGINAL",
    type=click.Path(path_type=Path),
    help="The picture without noise, or a folder of them: print PSNR and SSIM, and write all side by side.",
)
@click.option("--force", is_flag=True, help="Overwrite existing pictures.")
@plugin_options
def denoise(
    images: tuple[Path, ...],
    trained: Path,
    model: str,
    noise: str,
    output: Path | None,
    clean: Path | None,
    force: bool,
    plugins: tuple[str, ...],
) -> None:
    """Remove the noise from pictures, or folders of them, with a trained model."""
    sys.exit(denoise_command.denoise(images, trained, (model, noise), output, clean, force, plugins))


@main.command()
@plugin_options
def schema(plugins: tuple[str, ...]) -> None:
    """Print the JSON Schema of a spec, for editors."""
    click.echo(json.dumps(catalogue.spec_schema(plugins), indent=2))


def entry() -> None:
    """The `bench` command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that lacks a plus-minus sign is no reason to fail.
            stream.reconfigure(errors="replace")
    try:
        main(prog_name="bench")
    finally:
        # The work is over and its end has been told: a second Ctrl-C has nothing left to interrupt.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
