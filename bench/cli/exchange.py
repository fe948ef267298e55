"""`bench noise` and `bench score`: corrupted images for others to restore, and what these made of them."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from rich.progress import track

from bench import spec
from bench.cli.catalogue import plugin_files
from bench.cli.data import prepared
from bench.cli.jobs import pictures_in
from bench.cli.results import print_summary, rebuilt, written
from bench.cli.terminal import console
from bench.core import pictures
from bench.core.encoding import encode
from bench.core.errors import FieldError, SpecError
from bench.core.lazy import torch
from bench.core.pictures import Picture
from bench.core.plugins import load_function
from bench.core.words import counted
from bench.models import models
from bench.noises import Noise, noises
from bench.results.files import write
from bench.results.lock import held
from bench.results.store import Store
from bench.running import exchange
from bench.running.exchange import ARRAY, PICTURE
from bench.spec import yaml12
from bench.spec.experiment import NAME
from bench.spec.plan import works_of
from bench.training.score import scoring_draw


def score(
    spec_path: Path,
    overrides: tuple[str, ...],
    results: Path,
    plugins: tuple[str, ...],
    given: tuple[str, Path | None, str],
    figures: bool = True,
    quiet: bool = False,
) -> None:
    """Score a function, or a folder of restored images, on the test images of a spec that was run.

    given: the function as FILE.py:NAME or the folder, and what to call it; empty for the name of either.
    """
    function, folder, title = given
    if bool(function) == bool(folder):
        raise SpecError("give either --function FILE.py:NAME or --outputs FOLDER")
    plugin_files(plugins)
    screen, details = console(), console(quiet)
    experiment = spec.load(spec_path, overrides)
    store = Store(results / experiment.name)
    plan = store.plan()
    chosen = prepared(experiment, plan, screen)
    chosen.announce(screen)
    dataset = chosen.experiment.dataset
    exchange.checked(plan, dataset.identity(), store.root)
    tests = _tests(chosen.experiment)
    if folder:
        found = exchange.of_folder(_title(title or folder.resolve().name), folder, tests, dataset.test_names())
    else:
        plugin, code = load_function(function)
        found = exchange.of_function(_title(title or function.rpartition(":")[2]), plugin.sha256, code, tests)
    with held(store.root):
        exchange.submit(store, plan, dataset.load(), found, chosen.experiment)
        print_summary(screen, rebuilt(store, details, draw=figures), quiet)
    missing = [noise.label() for noise in tests if noise not in found.scores]
    if missing:
        screen.print(f"{found.model.title} has no images for {', '.join(missing)}")
    screen.print(written(store, figures))


def noise_spec(
    spec_path: Path, overrides: tuple[str, ...], output: Path, png: bool, force: bool, plugins: tuple[str, ...]
) -> None:
    """Write the corrupted test images of a spec: a folder for each test noise, a file for each image."""
    plugin_files(plugins)
    screen = console()
    experiment = spec.load(spec_path, overrides)
    chosen = prepared(experiment, None, screen)
    chosen.announce(screen)
    dataset, suffix = chosen.experiment.dataset, PICTURE if png else ARRAY
    folders = exchange.folder_names(_tests(chosen.experiment))
    if not force and (taken := [output / name for name in folders.values() if (output / name).exists()]):
        raise SpecError(f"{taken[0]} exists: name another folder, or write into it with --force")
    data, names = dataset.load(), dataset.test_names()
    for noise, folder in folders.items():
        images = zip(names, exchange.corrupted(data, noise, experiment.test_seed), strict=True)
        for name, image in track(images, folder, len(names), console=screen, transient=True):
            _write(output / folder / exchange.file_name(name, suffix), image, png)
        screen.print(f"{output / folder}: {counted(len(names), 'image')} with {noise.label()}")
    screen.print(f"`bench score {spec_path} --outputs FOLDER` scores what was made of them, in files called the same")


def noise_pictures(
    images: Sequence[Path], node: str, output: Path, png: bool, force: bool, plugins: tuple[str, ...]
) -> None:
    """Write any pictures with a noise, given as a spec has it; each with noise of its own."""
    plugin_files(plugins)
    screen, noise, suffix = console(), _noise(node), PICTURE if png else ARRAY
    given = [pair for image in images for pair in pictures_in(image)]
    found = [(output / exchange.file_name(str(name), suffix), path) for name, path in given]
    targets = [target for target, _ in found]
    if twice := [target for target in targets if targets.count(target) > 1]:
        raise SpecError(f"two of the pictures would be written to {twice[0]}: corrupt them into different folders")
    if not force and (taken := [target for target in targets if target.exists()]):
        raise SpecError(f"{taken[0]} exists: name another folder, or overwrite with --force")
    for place, (target, path) in enumerate(found):
        clean = torch.from_numpy(np.ascontiguousarray(pictures.read(path).values()))[None]
        if min(clean.shape[2:]) < noise.smallest:
            least = f"{noise.smallest} x {noise.smallest}"
            raise SpecError(f"{path} is too small for {noise.name}, which needs {least} pixels")
        noisy = noise.apply(clean, scoring_draw(clean.shape, noise, torch.tensor([place])))
        _write(target, noisy[0].numpy(), png)
    screen.print(f"{output}: {counted(len(found), 'picture')} with {noise.label()}")


def _tests(experiment: spec.Experiment) -> list[Noise]:
    """The noises that test images are scored under."""
    tests = (test.noise for work in works_of(experiment) for test in work.tests)
    return [noise for noise in dict.fromkeys(tests) if noise.split == "test"]


def _title(name: str) -> str:
    """What a contender from elsewhere is called. Raises SpecError for names that tables can't tell from others."""
    if not NAME.fullmatch(name) or name in models:
        raise SpecError(
            f"--name {name}: call it by letters, digits, '.', '_' and '-', and otherwise than any model of bench"
        )
    return name


def _noise(text: str) -> Noise:
    try:
        return noises.parse(yaml12.read(text, "--noise").value)
    except FieldError as error:
        raise SpecError(f"--noise {'.'.join(map(str, error.path))}: {error.message}") from None


def _write(path: Path, image: np.ndarray, png: bool) -> None:
    """An image, float32 (C, H, W), as an array of (H, W, C) or rounded to 8 bits."""
    values = np.ascontiguousarray(image.transpose(1, 2, 0))
    if png:
        pixels = np.rint(values.clip(0, 1) * 255).astype(np.uint8)
        grey = pixels.shape[2] == 1
        write(path, encode([Picture.from_array(pixels[..., 0] if grey else pixels)], PICTURE), lasting=False)
    else:
        content = io.BytesIO()
        np.save(content, values)
        write(path, content.getvalue(), lasting=False)
