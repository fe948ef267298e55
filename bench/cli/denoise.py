"""`bench denoise`: pictures without their noise, and how far to trust them."""

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import click
import numpy as np
from rich.progress import track

from bench.cli.catalogue import plugin_files
from bench.cli.jobs import Job, jobs_of
from bench.cli.quality import expected_noise, noise_in, psnr_and_ssim
from bench.cli.terminal import console
from bench.cli.tiles import TILE, Denoiser, denoise_picture
from bench.cli.trained import Trained, find
from bench.core import pictures
from bench.core.encoding import encode, format_of, losses
from bench.core.errors import DataError
from bench.core.lazy import torch
from bench.core.pictures import Picture
from bench.core.words import counted
from bench.datasets.layout import find as find_files
from bench.datasets.layout import passed_over
from bench.results.files import write

MISFIT = 1.5  # times stronger or weaker than the noise trained on, from which on a picture's noise is another
NOTE = "Noise in a picture is an estimate: its standard deviation from 0 to 1, if it is like Gaussian noise."


def denoise(
    images: Sequence[Path],
    trained: Path,
    named: tuple[str, str],
    output: Path | None,
    clean: Path | None,
    ensemble: int | None,
    force: bool,
    plugins: tuple[str, ...],
) -> int:
    """Write pictures without their noise. named: model and noise, to find a cell in a results folder.

    ensemble: how many flips and rotations to average over; None for as many as it was scored with.

    Exit code 0, or 3 where one of several pictures can't be read or written.
    """
    plugin_files(plugins)
    jobs = jobs_of(images, output, clean, force)
    first = _read(jobs[0].source) if len(jobs) == 1 else None
    chosen = find(trained, *named, ensemble)
    denoiser = Denoiser.of(chosen)
    console().print(f"{chosen.label}\n{NOTE}")
    for folder in filter(Path.is_dir, images):
        for remark in passed_over(find_files(folder).left, folder.name):
            console().print(remark)
    failed = False
    for job in jobs:
        try:
            _denoise(job, first or _read(job.source), chosen, denoiser)
        except DataError as error:
            if first:
                raise
            click.echo(f"Error: {error}", err=True)
            failed = True
    return DataError.exit_code if failed else 0


def _read(path: Path) -> list[Picture]:
    """The pages of a picture file, with all that can be written again."""
    return [page for _, page in pictures.each(path, whole=True)]


def _denoise(job: Job, pages: list[Picture], chosen: Trained, denoiser: Denoiser) -> None:
    """The pages of one file."""
    clean = _read(job.clean) if job.clean else []
    if job.clean and (was := _shape(clean)) != (found := _shape(pages)):
        raise DataError(f"{job.clean} is not the original of this picture: it has {was}, {job.source} {found}")
    output = [denoise_picture(denoiser, page) for page in _shown(pages, job.source)]
    content = encode(output, job.target.suffix)
    write(job.target, content)
    noise = noise_in(_image(pages[0]))
    seen = "" if noise is None else f"; noise in {job.source.name} about {noise:.3f}"
    screen = console()
    screen.print(f"{job.target}: {_shape(output)}, denoised by {denoiser.cell.model.label()}{seen}")
    for note in _notes(job, pages, output, chosen, denoiser):
        screen.print(f"Note: {note}")
    if noise is not None and chosen.noise and (warning := _misfit(noise, chosen, _image(pages[0]))):
        click.echo(f"Warning: {job.source}: {warning}", err=True)
    if clean:
        _compare(job, clean, pages, output)


def _shown(pages: list[Picture], source: Path) -> Iterable[Picture]:
    """The pages, with a bar in a terminal where there are several."""
    if len(pages) == 1:
        return pages
    return track(pages, f"pages of {source.name}", console=console(), transient=True)


def _shape(pages: list[Picture]) -> str:
    sizes = {f"{page.width} x {page.height}" for page in pages}
    size = sizes.pop() if len(sizes) == 1 else "several sizes"
    return size + (f", {counted(len(pages), 'page')}" if len(pages) > 1 else "")


def _notes(job: Job, pages: list[Picture], output: list[Picture], chosen: Trained, denoiser: Denoiser) -> Iterator[str]:
    """What to know of a picture that was written."""
    largest = max(pages, key=lambda page: max(page.width, page.height))
    if pooled := denoiser.pooled(largest):
        yield (
            f"{job.source.name} takes several tiles of {TILE} x {TILE} pixels, and {' and '.join(pooled)} of "
            f"{chosen.cell.model.name} averages over each tile, not over the picture: the result differs slightly "
            "between tiles"
        )
    if views := pictures.frames(job.source) - len(pages):
        yield f"{counted(views, 'preview')} or other views in {job.source.name} left out"
    if pages[0].bits == 8 and any("scaled" in what for what in pages[0].conversions):
        yield f"{job.source.name} has more than 8 bits a colour, read as 8; a PNG or TIFF of 16 bits keeps them"
    if lost := losses(output, job.target):
        yield f"{job.target.name}: {format_of(job.target.suffix)} can't hold {'; nor '.join(lost)}"


def _misfit(noise: float, chosen: Trained, image: "torch.Tensor") -> str:
    """How the noise in a picture differs from the noise that a denoiser is made for; empty where it doesn't."""
    assert chosen.noise
    expected = expected_noise(chosen.noise, image)
    if expected is None or expected[0] / MISFIT <= noise <= expected[1] * MISFIT:
        return ""
    low, high = (f"{end:.3f}" for end in expected)
    span = low if low == high else f"{low} to {high}"
    weaker = noise < expected[0]
    effect = "details may be smoothed away" if weaker else "noise may remain"
    return (
        f"its noise of about {noise:.3f} is {'weaker' if weaker else 'stronger'} than what this denoiser is made for "
        f"({chosen.noise.label()}, about {span} in a picture like this): {effect}"
    )


def _compare(job: Job, clean: list[Picture], noisy: list[Picture], output: list[Picture]) -> None:
    """Print PSNR and SSIM before and after, and write the three pictures side by side; of several pages the first."""
    for number, (original, given, found) in enumerate(zip(clean, noisy, output, strict=True), 1):
        before, after = (psnr_and_ssim(_image(page), _image(original)) for page in (given, found))
        first, second = (f"{psnr:.2f} dB" if math.isfinite(psnr) else "perfect" for psnr in (before[0], after[0]))
        similarity = "" if before[1] is None else f", SSIM {before[1]:.3f} before, {after[1]:.3f} after"
        page = f"page {number}: " if len(clean) > 1 else ""
        shown = f"; side by side: {job.comparison}" if number == 1 else ""
        console().print(f"{page}PSNR {first} before, {second} after{similarity}{shown}")
        if number == 1:
            captions = ("original", f"noisy, {first}", f"denoised, {second}")
            sheet = pictures.side_by_side(dict(zip(captions, (original, given, found), strict=True)))
            write(job.comparison, encode([sheet], ".png"))


def _image(picture: Picture) -> "torch.Tensor":
    """A picture's values without alpha, float32 (3, H, W)."""
    values = picture.values()
    return torch.from_numpy(np.ascontiguousarray(np.broadcast_to(values, (3, *values.shape[1:]))))
