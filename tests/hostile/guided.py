"""Fuzzing that follows which lines are reached: `python -m tests.hostile.guided TARGET FOLDER [options of libFuzzer]`.

Whatever comes ends in an error in words; anything else ends the process with the input that did it.
"""

import contextlib
import io
import sys
from collections.abc import Callable
from pathlib import Path

import atheris
import numpy as np
from PIL import Image

with atheris.instrument_imports(include=["bench"]):
    from bench import spec
    from bench.core.errors import BenchError
    from bench.results.rows import read_rows
    from tests.helpers.cli import bench
    from tests.helpers.results import store_of
    from tests.helpers.specs import GOOD, write_spec

Target = tuple[Callable[[bytes], None], bytes]  # what takes the bytes, and some to start from


def specs(folder: Path) -> Target:
    def one(data: bytes) -> None:
        with contextlib.suppress(BenchError):
            spec.parse(data.decode("utf-8", "replace"))

    return one, GOOD.encode()


def records(folder: Path) -> Target:
    """The markers of a cell and of its score: the bytes up to a zero and those behind it."""
    store = store_of(folder / "results", write_spec(folder), lambda work, noise: {"psnr": np.full(10, 20.0)})
    score = min(store.root.glob("cells/*/scores/*.json"))
    cell, marker = store.cell(score.parents[1].name), score.parents[1] / "cell.json"
    start = b"\0".join([marker.read_bytes(), score.read_bytes()])

    def one(data: bytes) -> None:
        first, _, second = data.partition(b"\0")
        marker.write_bytes(first)
        score.write_bytes(second)
        with contextlib.suppress(BenchError):
            read_rows(store, store.plan())
            cell.fitted()
            cell.weights()

    return one, start


def pictures(folder: Path) -> Target:
    """`bench denoise` of a file that may be a picture."""
    path, made = folder / "a.png", io.BytesIO()
    Image.fromarray(np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3)).save(made, "PNG")

    def one(data: bytes) -> None:
        path.write_bytes(data)
        found = bench("denoise", path, "--with", "median", "-o", folder / "b.png", "--force")
        if found.exception and not isinstance(found.exception, SystemExit):
            raise found.exception
        assert found.exit_code in (0, 1, 2, 3), found.output  # those that are documented

    return one, made.getvalue()


TARGETS = {target.__name__: target for target in (specs, records, pictures)}

if __name__ == "__main__":
    home = Path(sys.argv[2])
    take, given = TARGETS[sys.argv[1]](home)
    corpus = home / "corpus"
    corpus.mkdir()
    (corpus / "start").write_bytes(given)
    atheris.Setup([sys.argv[0], str(corpus), *sys.argv[3:]], take)
    atheris.Fuzz()
