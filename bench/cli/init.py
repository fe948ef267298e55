"""`bench init`: a spec to start from."""

from pathlib import Path

from bench.cli.terminal import console
from bench.core.errors import SpecError
from bench.results.files import write
from bench.spec.bundled import bundled
from bench.spec.experiment import NAME

STARTER = "starter"


def init(path: Path, force: bool) -> None:
    """Write a commented spec, named as its file. Raises SpecError for an existing file unless forced."""
    if path.exists() and not force:
        raise SpecError(f"{path} exists: name another file, or overwrite it with --force")
    text = bundled()[STARTER].read_text(encoding="utf-8")
    if NAME.fullmatch(path.stem):
        text = text.replace(f"name: {STARTER}\n", f"name: {path.stem}\n")
    write(path, text)
    console().print(f"{path} is written: edit it, then `bench run {path}`")
