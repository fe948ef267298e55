"""Small specs that once gave wrong numbers or failed, each run from a copy."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import Result

from tests.helpers.cli import bench

HERE = Path(__file__).parent / "specs"
SHARED = Path(__file__).parents[3] / "shared"
EXACT = SHARED / "data/cifar10-exact"


@dataclass(frozen=True)
class Case:
    """A case that was run. folder: its results."""

    result: Result
    folder: Path

    def table(self, name: str = "results") -> list[dict[str, str]]:
        with (self.folder / "tables" / f"{name}.csv").open() as file:
            return list(csv.DictReader(file))

    def value(self, model: str, test_noise: str, column: str = "psnr") -> float:
        """The value of the only row whose model and test noise begin like this."""
        rows = [
            row for row in self.table() if row["model"].startswith(model) and row["test_noise"].startswith(test_noise)
        ]
        assert len(rows) == 1, rows
        return float(rows[0][column])


Run = Callable[..., Case]


def spec_of(name: str) -> Path:
    """The case beside the checkout where there is one, or else the suite's own copy."""
    shared = SHARED / "cases" / f"{name}.yaml"
    return shared if shared.is_file() else HERE / f"{name}.yaml"


@pytest.fixture
def run_case(tmp_path: Path, cache: Path) -> Run:
    """Runs a case, with further options, in one process."""

    def run(name: str, *options: object, figures: bool = False) -> Case:
        words = [] if figures else ["--no-figures"]
        result = bench("run", spec_of(name), "--results", tmp_path / "results", "--workers", 1, *words, *options)
        return Case(result, tmp_path / "results" / name)

    return run
