"""`bench denoise`: pictures without their noise, and how far to trust them."""

import math
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np

from bench.cli.catalogue import plugin_files
from bench.cli.jobs import Job, jobs_of
from bench.cli.quality import expected_noise, noise_in, psnr_and_ssim
from bench.cli.terminal import console
from bench.cli.tiles import TILE, Denoiser, denoise_picture
from bench.cli.trained import Trained, find
from bench.core import pictures
from bench.core.errors import DataError
from bench.core.lazy import torch
from bench.core.pictures import Picture
from bench.results.files import write

MISFIT = 1.5  # times stronger or weaker than the noise trained on, from which on a picture's noise is another
NOTE = "Noise in a picture is an estimate: its standard deviation from 0 to 1, if it is like Gaussian noise."


def denoise(
    images: Sequence[Path],
    trained: Path,
    named: tuple[str, str],
    output: Path | None,
    clean: Path | None,
    force: bool,
    plugins: tuple[str, ...],
) -> int:
    """Write pictures without their noise. named: model and noise, to find a cell in a results folder.

    Exit code 0, or 3 where one of several pictures can't be read or written.
    """
    plugin_files(plugins)
    jobs = jobs_of(images, output, clean, force)
    first = pictures.read(jobs[0].source) if len(jobs) == 1 else None
    chosen = find(trained, *named)
    denoiser = Denoiser.of(chosen)
    console().print(f"{chosen.label}\n{NOTE}")
    failed = False
    for job in jobs:
        try:
            _denoise(job, first or pictures.read(job.source), chosen, denoiser)
        except DataError as error:
            if first:
                raise
            click.echo(f"Error: {error}", err=True)
            failed = True
    return DataError.exit_code if failed else 0


def _denoise(job: Job, picture: Picture, chosen: Trained, denoiser: Denoiser) -> None:
    """One picture."""
    clean = pictures.read(job.clean) if job.clean else None
    if clean and (clean.width, clean.height) != (picture.width, picture.height):
        sizes = f"{clean.width} x {clean.height}, {job.source} {picture.width} x {picture.height} pixels"
        raise DataError(f"{job.clean} is not the original of this picture: it has {sizes}")
    output = denoise_picture(denoiser, picture)
    write(job.target, pictures.encode(output, job.target.suffix))
    noise = noise_in(_image(picture))
    found = "" if noise is None else f"; noise in {job.source.name} about {noise:.3f}"
    screen = console()
    screen.print(f"{job.target}: {output.width} x {output.height}, denoised by {denoiser.cell.model.label()}{found}")
    if pooled := denoiser.pooled(picture):
        screen.print(
            f"Note: {job.source.name} takes several tiles of {TILE} x {TILE} pixels, and {' and '.join(pooled)} of "
            f"{chosen.cell.model.name} averages over each tile, not over the picture: the result differs slightly "
            "between tiles"
        )
    if noise is not None and chosen.noise and (warning := _misfit(noise, chosen, _image(picture))):
        click.echo(f"Warning: {job.source}: {warning}", err=True)
    if clean:
        _compare(job, {"original": clean, "noisy": picture, "denoised": output})


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


def _compare(job: Job, shown: dict[str, Picture]) -> None:
    """Print PSNR and SSIM before and after, and write the three pictures side by side."""
    clean, noisy, output = map(_image, shown.values())
    before, after = psnr_and_ssim(noisy, clean), psnr_and_ssim(output, clean)
    first, second = (f"{psnr:.2f} dB" if math.isfinite(psnr) else "perfect" for psnr in (before[0], after[0]))
    similarity = "" if before[1] is None else f", SSIM {before[1]:.3f} before, {after[1]:.3f} after"
    console().print(f"PSNR {first} before, {second} after{similarity}; side by side: {job.comparison}")
    captions = ("original", f"noisy, {first}", f"denoised, {second}")
    sheet = pictures.side_by_side(dict(zip(captions, shown.values(), strict=True)))
    write(job.comparison, pictures.encode(sheet, ".png"))


def _image(picture: Picture) -> "torch.Tensor":
    """A picture's values without alpha, float32 (3, H, W)."""
    values = picture.values()
    return torch.from_numpy(np.ascontiguousarray(np.broadcast_to(values, (3, *values.shape[1:]))))
