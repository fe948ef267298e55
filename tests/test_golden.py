"""No registered class changes what it computes without a raised `revision`: stored results would be taken for new ones.

The numbers hold with every version of torch and numpy that is allowed and on every processor: what is compared are
means, spreads and sums over whole outputs of fixed weights, in float32.
"""

import pytest

from bench.datasets import datasets
from bench.metrics import metrics
from bench.models import models
from bench.noises import noises
from tests.helpers.golden import ELSEWHERE, PLAIN, known, numbers_of, revision_of, subjects

SUBJECTS = subjects()
CLOSE = 5e-4, 2e-6  # relative, absolute: some hundred roundings of float32
CHOOSING = {"model vq_vae": (0.02, 1e-3)}  # where a rounding decides which entry of a codebook a place gets
FIRST = 0.2, 0.0  # for the size of first weights, which other versions of torch may draw otherwise

pytestmark = pytest.mark.usefixtures("cache")


@pytest.mark.parametrize("key", SUBJECTS)
def test_what_a_class_computes_is_that_of_its_revision(key: str) -> None:
    golden = known().get(key)
    write = "run `python -m tests.helpers.golden`"
    assert golden, f"{key} is new: {write}"
    assert golden.pop("revision") == revision_of(SUBJECTS[key]), f"the revision of {key} was raised: {write}"
    found = numbers_of(SUBJECTS[key])
    assert golden.keys() == found.keys()
    for what, value in golden.items():
        close = FIRST if what.startswith(PLAIN) else CHOOSING.get(key.partition("(")[0], CLOSE)
        near = pytest.approx(value, *close)
        assert found[what] == near, f"{what}: {key} computes something else: raise its `revision`, then {write}"


def test_every_registered_class_is_looked_at() -> None:
    seen = {key.partition("(")[0] for key in SUBJECTS}
    for registry in (noises, models, metrics, datasets):
        ours = {name for name in registry if registry[name].__module__.startswith("bench.")} - ELSEWHERE
        assert {f"{registry.kind} {name}" for name in ours} <= seen
    assert known().keys() == SUBJECTS.keys()
