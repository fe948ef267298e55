"""What is left: published figures, the law fitted to growing budgets, and what docs/speed.md says of both."""

from pathlib import Path

import numpy as np
import pytest

from bench.noises import Noise, noises
from bench.report.published import published
from bench.spec.cells import Work
from tests.helpers.results import store_of
from tests.helpers.specs import write_spec
from tests.perf import limit

BUDGETS = [4000, 8000, 16_000, 32_000] * 2 + [64_000, 128_000]
TRUE = limit.Law(29.0, 2.0, 0.45, 0.0)


def test_published_figures_are_whole_and_of_noises_there_are() -> None:
    found = published()
    assert len(found) >= 10
    for one in found:
        assert one.noise in noises
        assert len(one.levels) == len(one.psnr) == len(set(one.levels)) and list(one.levels) == sorted(one.levels)
        assert len(one.ssim) in (0, len(one.levels))
        assert all(noises.parse({one.noise: {noises[one.noise].level: level}}) for level in one.levels)
        assert one.source and one.trust
    (reference,) = [one for one in found if one.kind == "limit"]
    linear = next(one for one in found if one.kind == "linear" and one.levels == reference.levels)
    assert reference.at(0.1) == 29.38 and linear.at(0.1) == 27.03 and reference.at(0.11) is None
    assert all(best > line for best, line in zip(reference.psnr, linear.psnr, strict=True))
    assert reference.protocol == "noise unclipped, pooled, 10,000 test images"


def test_the_law_is_found_and_its_limit_lies_in_its_interval_as_often_as_it_says() -> None:
    exact = limit.fitted(BUDGETS, TRUE(np.array(BUDGETS)))
    assert (exact.limit, exact.scale, exact.exponent) == pytest.approx((29, 2, 0.45), abs=1e-4)
    draw = np.random.default_rng(0)
    fits = [limit.fitted(BUDGETS, TRUE(np.array(BUDGETS)) + draw.normal(0, 0.02, len(BUDGETS))) for _ in range(100)]
    covered = sum(abs(fit.limit - TRUE.limit) <= fit.half for fit in fits)
    assert 88 <= covered <= 100
    assert 0 < np.median([fit.half for fit in fits]) < 1


@pytest.mark.usefixtures("cache")
def test_points_and_distances_are_those_of_a_results_folder(tmp_path: Path) -> None:
    def scores(work: Work, noise: Noise) -> dict[str, np.ndarray]:
        images = work.cell.train.images if work.cell.train else 0
        psnr = np.array([26.0, 28.0] * 5) + (images or 0) / 100
        return {"mse": 10 ** (-psnr / 10), "psnr": psnr, "ssim": psnr / 40}

    models = ("models: [{conv: {width: 4}}, identity]", "models: [{conv: {width: 4, ensemble: [1, 8]}}, identity]")
    budget = ("epochs: 2", "images: [100, 200]")
    store = store_of(tmp_path / "results", write_spec(tmp_path, models, budget), scores)
    assert limit.points(store.root) == [(100, 28.0, 1), (100, 28.0, 8), (200, 29.0, 1), (200, 29.0, 8)]
    row = next(line for line in limit.table(store.root).splitlines() if line.startswith("| identity"))
    pooled = -10 * np.log10((10**-2.6 + 10**-2.8) / 2)
    assert row == f"| identity | 27.00 | +0.01 | {pooled:.2f} | {29.38 - pooled:.2f} |"
