"""Messages name what was probably meant."""

import pytest

from bench.core.errors import nearest
from bench.core.words import counted
from tests.helpers.cli import bench


@pytest.mark.parametrize(
    ("given", "valid", "meant"),
    [
        ("std", ["clip", "sigma"], "sigma"),
        ("salt", ["gaussian", "salt_and_pepper"], "salt_and_pepper"),
        ("learning_rate", ["epochs", "lr"], "lr"),
        ("ssim_unifrm", ["psnr", "ssim", "ssim_uniform"], "ssim_uniform"),
        ("gausian", ["gaussian", "masking"], "gaussian"),
        ("GPU", ["auto", "cpu", "cuda"], "cuda"),
        ("std", ["p"], ""),
        ("zzz", ["sigma"], ""),
    ],
)
def test_the_nearest_name(given: str, valid: list[str], meant: str) -> None:
    assert nearest(given, valid) == (f" Did you mean {meant}?" if meant else "")


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["trian"], "run"),
        (["show", "noise", "salt"], "salt_and_pepper"),
        (["list", "nois"], "noises"),
        (["run", "smok"], "smoke"),
        (["plan", "smoke", "--set", "train.device=gpu"], "cuda"),
        (["plan", "smoke", "--set", "noises=[{gaussian: {std: 0.1}}]"], "sigma"),
    ],
)
def test_commands_say_what_was_probably_meant(words: list[str], meant: str) -> None:
    found = bench(*words)
    assert found.exit_code == 2 and f"Did you mean {meant}?" in " ".join(found.output.split())


def test_a_kind_may_be_named_in_the_singular() -> None:
    assert bench("list", "model").output == bench("list", "models").output


@pytest.mark.parametrize(
    ("number", "what", "text"),
    [(1, "cell", "1 cell"), (0, "cell", "0 cells"), (1234, "process", "1,234 processes")],
)
def test_numbers_of_things(number: int, what: str, text: str) -> None:
    assert counted(number, what) == text
