"""The pictures that `bench denoise` is given, and where each goes: nothing is overwritten unless that is asked for."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.core.encoding import format_of, writable
from bench.core.errors import SpecError
from bench.core.pictures import SUFFIXES
from bench.datasets.layout import find


@dataclass(frozen=True)
class Job:
    """A picture, where it goes without its noise, and the same picture as it was before the noise, if known."""

    source: Path
    target: Path
    clean: Path | None

    @property
    def comparison(self) -> Path:
        """Where the picture goes that shows all three side by side."""
        return self.target.with_name(f"{self.target.stem}-compared.png")

    @property
    def written(self) -> list[Path]:
        return [self.target, *([self.comparison] if self.clean else [])]


def jobs_of(images: Sequence[Path], output: Path | None, clean: Path | None, force: bool) -> list[Job]:
    """Every picture named, and every one in the folders named.

    Raises SpecError for pictures that would be written to one place, and for existing ones unless forced.
    """
    jobs = list(_jobs(images, output, clean))
    _check_targets(jobs, force)
    return jobs


def _jobs(images: Sequence[Path], output: Path | None, clean: Path | None) -> Iterator[Job]:
    several = len(images) > 1 or images[0].is_dir()
    if several and output is None:
        raise SpecError("several pictures need a folder to go to: --output FOLDER")
    if several and clean and not clean.is_dir():
        raise SpecError(f"--clean {clean}: several pictures need a folder with originals of the same names")
    if not several:
        yield Job(images[0], _target(images[0], output), clean)
        return
    assert output is not None
    if output.is_file() or (writable(output.suffix) and not output.is_dir()):
        raise SpecError(f"--output {output}: several pictures go to a folder; this names a file")
    for image in images:
        for name, source in pictures_in(image):
            yield Job(source, _in_known_format(output / name), clean / name if clean else None)


def pictures_in(image: Path) -> Iterator[tuple[Path, Path]]:
    """A picture with its name, or every picture in a folder with its path inside."""
    if not image.is_dir():
        yield Path(image.name), image
        return
    found = [Path(file.path) for file in find(image).files]
    if not found:
        raise SpecError(f"{image} has no pictures: {', '.join(SUFFIXES)}")
    yield from ((path.relative_to(image), path) for path in found)


def _target(image: Path, output: Path | None) -> Path:
    """Where the one picture goes."""
    if output is None:
        return _in_known_format(image.with_name(f"{image.stem}-denoised{image.suffix}"))
    if output.is_dir():
        return _in_known_format(output / image.name)
    if not output.suffix:
        raise SpecError(f"--output {output}: its name must end in .png, .jpg, .tif or .webp, or be that of a folder")
    format_of(output.suffix)
    return output


def _in_known_format(path: Path) -> Path:
    return path if writable(path.suffix) else path.with_suffix(".png")


def _check_targets(jobs: Sequence[Job], force: bool) -> None:
    """Refuse to write two pictures to one place, and to overwrite any unless forced to."""
    targets = [path for job in jobs for path in job.written]
    if twice := [path for path in targets if targets.count(path) > 1]:
        raise SpecError(f"two of the pictures would be written to {twice[0]}: denoise them into different folders")
    existing = [(job, path) for job in jobs for path in job.written if path.exists()]
    if not existing or force:
        return
    job, path = existing[0]
    known = {"the picture itself": job.source, "its original": job.clean}
    same = [what for what, other in known.items() if other and other.exists() and path.samefile(other)]
    more = f" and {len(existing) - 1} more" if len(existing) > 1 else ""
    raise SpecError(
        f"{path} {f'is {same[0]}' if same else 'exists'}{more}: name another place, or overwrite with --force"
    )
