"""What all tests of datasets share."""

from pathlib import Path

import pytest


@pytest.fixture
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or fills the user's cache, or reaches for the net."""
    path = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("NOISE_BENCH_CACHE", str(path))
    monkeypatch.setenv("NOISE_BENCH_OFFLINE", "1")
    monkeypatch.delenv("NOISE_BENCH_DATA", raising=False)
    return path
