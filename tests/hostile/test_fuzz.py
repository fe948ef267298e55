"""Specs, records and pictures changed at random: an error in words, whatever comes."""

import contextlib
import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from bench import spec
from bench.core.errors import BenchError
from bench.core.pictures import read
from bench.results import shapes
from bench.results.records import RunPlan
from tests.helpers.cli import PATIENCE, environment
from tests.helpers.specs import GOOD
from tests.hostile.test_folders import home

__all__ = ["home"]
pytestmark = [pytest.mark.long, pytest.mark.usefixtures("cache")]

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
JSON = st.recursive(LEAVES, lambda inside: st.lists(inside) | st.dictionaries(st.text(), inside), max_leaves=5)
SPLICES = st.sampled_from(
    ["{", "}", "[", "]", ":", "- ", "\n", "&a ", "*a", "!!python/object ", "\0", "1e999", "~", "|"]
)


@pytest.mark.parametrize("target", ["specs", "records", "pictures"])
def test_what_is_found_by_following_the_lines_that_are_reached(target: str, tmp_path: Path, cache: Path) -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this system")
    command = [sys.executable, "-m", "tests.hostile.guided", target, tmp_path, "-max_total_time=90", "-runs=100000"]
    found = subprocess.run(
        [*map(str, command), f"-artifact_prefix={tmp_path}/"],
        cwd=Path(__file__).parents[2],
        env=environment(cache),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert found.returncode == 0, found.stdout + found.stderr[-3000:]
    runs = re.search(r"Done (\d+) runs", found.stderr)
    assert runs and int(runs[1]) > 500, found.stderr[-3000:]


@given(st.lists(st.tuples(st.integers(0, len(GOOD)), SPLICES | st.text(max_size=5)), min_size=1, max_size=6))
@settings(max_examples=1000)
def test_a_spec_with_anything_in_it(splices: list[tuple[int, str]]) -> None:
    text = GOOD
    for place, piece in splices:
        text = text[:place] + piece + text[place:]
    with contextlib.suppress(BenchError):
        spec.parse(text)


def replaced(value: Any, path: list[int], new: Any) -> Any:
    """A JSON value with one part of it replaced; the path chooses at every level."""
    if not path or not isinstance(value, dict | list) or not value:
        return new
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    chosen = keys[path[0] % len(keys)]
    inside = replaced(value[chosen], path[1:], new)
    if isinstance(value, dict):
        return {**value, chosen: inside}
    return [inside if key == chosen else value[key] for key in keys]


@pytest.mark.parametrize("name", ["plan", "cell", "score"])
def test_a_record_with_anything_in_it(name: str, home: Path) -> None:
    shape = {"plan": shapes.Plan, "cell": shapes.CellMarker, "score": shapes.ScoreMarker}[name]
    where = {"plan": "plan.json", "cell": "cells/*/cell.json", "score": "cells/*/scores/*.json"}[name]
    whole = json.loads(min((home / "results").glob(where)).read_text())
    assert shapes.misfit(shape, whole) == ""

    @given(st.lists(st.integers(0, 50), max_size=6), JSON)
    @settings(max_examples=1000)
    def fits_and_is_read_or_does_not(path: list[int], new: Any) -> None:
        changed = replaced(whole, path, new)
        if shapes.misfit(shape, changed) == "" and name == "plan":
            with contextlib.suppress(BenchError):
                assert RunPlan.from_node(changed).rows >= 0

    fits_and_is_read_or_does_not()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "GIF", "BMP"])
def test_a_picture_with_anything_in_it(kind: str, tmp_path: Path) -> None:
    made = io.BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    Image.fromarray(pixels).save(made, kind)
    whole, path = made.getvalue(), tmp_path / f"a.{kind.lower()}"

    @given(
        st.lists(st.tuples(st.integers(0, len(whole) - 1), st.binary(max_size=4)), min_size=1, max_size=4),
        st.booleans(),
    )
    @settings(max_examples=300)
    def is_read_or_is_not(changes: list[tuple[int, bytes]], cut: bool) -> None:
        content = whole
        for place, new in changes:
            content = content[:place] + new + content[place + len(new) :]
        path.write_bytes(content[: changes[0][0]] if cut else content)
        with contextlib.suppress(BenchError, OSError):
            read(path)

    is_read_or_is_not()
