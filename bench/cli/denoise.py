"""`bench denoise`: a picture without its noise."""

from pathlib import Path

from bench.cli.catalogue import plugin_files
from bench.cli.terminal import console
from bench.cli.tiles import Denoiser, denoise_picture
from bench.core import pictures
from bench.results.files import write
from bench.results.store import CellStore


def denoise(image: Path, cell: Path, output: Path, plugins: tuple[str, ...]) -> None:
    """Write a picture without its noise."""
    plugin_files(plugins)
    pictures.format_of(output.suffix)
    picture = pictures.read(image)
    denoiser = Denoiser.from_folder(CellStore(cell))
    clean = denoise_picture(denoiser, picture)
    write(output, pictures.encode(clean, output.suffix))
    console().print(f"{output}: {clean.width} x {clean.height}, denoised by {denoiser.cell.model.label()}")
