"""The specs that come with the package, by name."""

from pathlib import Path

SUFFIX = ".yaml"
PACKAGE = Path(__file__).parents[1]


def bundled() -> dict[str, Path]:
    """Each spec's file by its name: `experiments/` of a checkout, which an installed package holds as its own."""
    inside = PACKAGE / "experiments"
    folder = inside if inside.is_dir() else PACKAGE.parent / "experiments"
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def spec_path(given: Path) -> Path:
    """The spec that is meant: a file, a file without its ending, or one of the package by its name."""
    if given.is_file() or str(given) != given.name:
        return given
    beside = given.with_name(given.name + SUFFIX)
    return beside if beside.is_file() else bundled().get(given.name, given)
