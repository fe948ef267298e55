"""Known answers: all right here, and each wrong where what it is of breaks."""

from collections.abc import Iterator
from typing import Any

import pytest

from bench.cli.selfcheck import shown
from bench.metrics.mse import Mse
from bench.noises.gaussian import Gaussian
from bench.results.statistics.differences import Estimate
from bench.running import selfcheck
from bench.running.selfcheck import Check, _exact_world, _metrics, _noises, _statistics, checks


def failed(found: Iterator[Check]) -> list[str]:
    return [check.what for check in found if not check.passed]


def test_parts_that_are_quick_are_right() -> None:
    assert not failed(_noises()) + failed(_metrics())
    assert _exact_world(count=4000).passed


@pytest.mark.long
def test_everything_is_right_on_this_machine() -> None:
    found = list(checks())
    assert len(found) == 14 and all(check.passed for check in found)


def test_a_noise_that_is_two_percent_too_strong_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gaussian, "corrupt", lambda self, images, draw: images + 1.02 * self.sigma * draw.normal())
    assert failed(_noises()) == ["gaussian, sigma 0.1: variance"]


def test_a_metric_that_is_off_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mse, "measure", lambda self, pair: pair.mse * (1 + 1e-4))
    assert failed(_metrics()) == ["mse against scikit-image, largest difference"]


def test_comparisons_without_correction_and_intervals_that_are_too_narrow_are_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    half = Estimate.half
    monkeypatch.setattr(selfcheck, "holm", lambda p_values, alpha: [alpha] * len(p_values))
    monkeypatch.setattr(Estimate, "half", lambda self, alpha: 0.7 * half(self, alpha))
    monkeypatch.setattr(selfcheck, "INTERVALS", 300)
    found = failed(_statistics())
    assert found[0].startswith("200 families") and any(what.startswith("95 %") for what in found)


def test_what_failed_is_named_and_gives_a_code(capsys: Any) -> None:
    right, wrong = Check("one", "1", "1", True), Check("two", "2", "3", False)
    assert shown([right]) == 0 and "all 1 known answers" in capsys.readouterr().out
    assert shown([right, wrong]) == 1 and "FAILED: two" in capsys.readouterr().out
