"""What is derived from a results folder shows what is stored there."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from bench.noises import Noise
from bench.report.rebuild import read, sheets
from bench.spec.cells import Work
from tests.helpers.results import store_of
from tests.helpers.specs import write_spec

pytestmark = pytest.mark.usefixtures("cache")


def score(work: Work, noise: Noise) -> Mapping[str, np.ndarray]:
    """Scores that no picture would give: what is shown can only be what was stored."""
    psnr = (30.0 if work.cell.train else 20.0) + np.arange(10)
    return {"mse": 10 ** (-psnr / 10), "psnr": psnr, "ssim": np.full(10, 0.5)}


def test_samples_show_the_stored_values_of_their_images(tmp_path: Path) -> None:
    store = store_of(tmp_path / "results", write_spec(tmp_path), score)
    found = list(sheets(store, read(store).plan))
    assert [sheet.noise.name for sheet in found] == ["gaussian", "masking"]
    for sheet in found:
        conv, identity = sheet.restored
        assert conv.values is not None and identity.values is not None and sheet.noisy.values is not None
        shown = len(sheet.original.pictures)
        assert conv.values.tolist() == [30.0 + image for image in range(len(conv.values))]
        assert len(conv.values) >= shown
        assert identity.values.tolist() == sheet.noisy.values.tolist(), "the noisy image is what identity gives"


def test_noisy_images_have_no_value_where_nothing_was_scored_on_them(tmp_path: Path) -> None:
    change = ("[{conv: {width: 4}}, identity]", "[{conv: {width: 4}}]")
    store = store_of(tmp_path / "results", write_spec(tmp_path, change), score)
    assert all(sheet.noisy.values is None for sheet in sheets(store, read(store).plan))
