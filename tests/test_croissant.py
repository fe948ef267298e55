"""The Croissant file describes the archive that is read, and has the fields that reviewers ask for."""

import importlib
import importlib.util
import json
from pathlib import Path

import pytest

from bench.datasets.cifar10 import Cifar10

FILE = Path(__file__).parents[1] / "docs/croissant.json"
ASKED = ("dataCollection", "dataLimitations", "dataBiases", "personalSensitiveInformation", "dataUseCases",
         "dataSocialImpact")  # fmt: skip


def test_it_describes_the_archive_and_the_part_that_tables_are_of() -> None:
    found = json.loads(FILE.read_text())
    archive = found["distribution"][0]
    assert archive["sha256"] == Cifar10.archive.sha256
    assert archive["contentSize"] == f"{Cifar10.archive.size} B"
    train, test = Cifar10.exact
    assert f"{sum(train):,} of its training images" in found["description"]
    assert f"first {test:,} images of its test set" in found["description"]
    assert all(found[f"rai:{key}"] for key in ASKED)


@pytest.mark.skipif(not importlib.util.find_spec("mlcroissant"), reason="mlcroissant is not installed")
def test_mlcroissant_takes_it() -> None:
    assert importlib.import_module("mlcroissant").Dataset(str(FILE)).metadata.name == "cifar10-exact"
