"""The command line. Each command is a few lines over the modules that do the work, which load when it runs."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import click

from bench.cli import completion
from bench.cli.options import Decibels, Group, Kind, plugin_options, quiet_option, spec_options
from bench.core import interrupts
from bench.core.lazy import Lazy

catalogue = Lazy("bench.cli.catalogue")
data_command = Lazy("bench.cli.data")
denoise_command = Lazy("bench.cli.denoise")
exchange_command = Lazy("bench.cli.exchange")
measure_command = Lazy("bench.cli.measure")
init_command = Lazy("bench.cli.init")
plan_command = Lazy("bench.cli.plan")
prune_command = Lazy("bench.cli.prune")
results_command = Lazy("bench.cli.results")
run_command = Lazy("bench.cli.run")
selfcheck_command = Lazy("bench.cli.selfcheck")
machine = Lazy("bench.core.machine")


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
@click.option("--scheduler", default="", metavar="ADDRESS|FILE", help="Run on the Dask cluster that is reached there.")
@click.option("--no-figures", is_flag=True, help="Write the tables only; `bench report` draws the figures later.")
@click.option(
    "--timeout", type=click.FloatRange(min=1), metavar="SECONDS", help="End a unit of work that takes longer."
)
@click.option("--keep-stale", is_flag=True, help="Take what code has made that has changed since; tables mark it.")
@quiet_option
@click.option("--verbose", is_flag=True, help="Say why images stand in for others.")
def run(
    spec: Path,
    overrides: tuple[str, ...],
    results: Path,
    plugins: tuple[str, ...],
    workers: int | None,
    scheduler: str,
    timeout: float | None,
    no_figures: bool,
    keep_stale: bool,
    quiet: bool,
    verbose: bool,
) -> None:
    """Train and score what SPEC asks for; what is finished already is kept.

    SPEC is a YAML file, or the name of one that comes with the package, such as smoke or default.

    Exit codes: 0 all done, 1 a cell failed (the others are kept), 2 the spec or command is wrong,
    3 the data are unavailable, 70 an internal error, 130 interrupted.
    """
    if scheduler and workers:
        raise click.UsageError("--workers is for processes on this machine: a cluster has those that it has")
    figures = not no_figures
    where = (scheduler, timeout)
    sys.exit(run_command.run(spec, overrides, results, plugins, workers, figures, quiet, verbose, keep_stale, *where))


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
@click.option(
    "--without",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Leave out the test images that FILE names, a name a line or a CSV with a column `test`, and write to "
    "FOLDER/without-FILE.",
)
@quiet_option
@plugin_options
def report(folder: Path, without: Path | None, plugins: tuple[str, ...], quiet: bool) -> None:
    """Rebuild tables, figures and report.html of a results FOLDER from what is stored."""
    results_command.report(folder, plugins, quiet, without)


@main.command()
@click.argument("folder", default="results/default", type=click.Path(path_type=Path))
@plugin_options
def measure(folder: Path, plugins: tuple[str, ...]) -> None:
    """Measure what the contenders of a results FOLDER cost to use: latency in turn, with its spread, memory, energy."""
    measure_command.measure(folder, plugins)


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
@spec_options
@click.option("--function", default="", metavar="FILE.py:NAME", help="A function from images to images.")
@click.option(
    "--outputs",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="What was made of the images that `bench noise SPEC` wrote: folders and files called the same.",
)
@click.option("--name", default="", help="What tables call it. Default: the name of the function or the folder.")
@click.option("--no-figures", is_flag=True, help="Write the tables only; `bench report` draws the figures later.")
@quiet_option
def score(
    spec: Path,
    overrides: tuple[str, ...],
    results: Path,
    plugins: tuple[str, ...],
    function: str,
    outputs: Path | None,
    name: str,
    no_figures: bool,
    quiet: bool,
) -> None:
    """Score what others made on the test images of SPEC, beside what was run: a function, or a folder of outputs."""
    given = (function, outputs, name)
    exchange_command.score(spec, overrides, results, plugins, given, not no_figures, quiet)


@main.command("noise")
@click.argument("targets", metavar="SPEC | IMAGE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--noise", "node", default="", help="For pictures: the noise as a spec has it, '{gaussian: {sigma: 0.1}}'."
)
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="For a spec: set one value.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The folder they go to.")
@click.option("--png", is_flag=True, help="Round to 8 bits, as pictures. Default: float32 arrays, .npy.")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@plugin_options
def noise_(
    targets: tuple[Path, ...],
    node: str,
    overrides: tuple[str, ...],
    output: Path,
    png: bool,
    force: bool,
    plugins: tuple[str, ...],
) -> None:
    """Write the corrupted test images of SPEC, just as every denoiser meets them, or pictures with a noise."""
    if node:
        exchange_command.noise_pictures(targets, node, output, png, force, plugins)
    elif len(targets) > 1:
        raise click.UsageError("several pictures need a noise: --noise '{gaussian: {sigma: 0.1}}'")
    else:
        exchange_command.noise_spec(targets[0], overrides, output, png, force, plugins)


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
@click.option(
    "--ensemble",
    type=click.Choice(["1", "8"]),
    help="Average over the 8 flips and rotations of the picture, or 1. Default: as it was scored.",
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
    ensemble: str | None,
    force: bool,
    plugins: tuple[str, ...],
) -> None:
    """Remove the noise from pictures, or folders of them, with a trained model."""
    count = int(ensemble) if ensemble else None
    sys.exit(denoise_command.denoise(images, trained, (model, noise), output, clean, count, force, plugins))


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
    interrupts.heed()
    try:
        main(prog_name="bench")
    finally:
        # The work is over and its end has been told: a second Ctrl-C has nothing left to interrupt.
        interrupts.ignore()
