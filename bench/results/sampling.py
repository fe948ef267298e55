"""What the test images of a result are a sample of."""

import numpy as np

from bench.datasets import datasets
from bench.results.noise_tests import NoiseTest
from bench.results.records import RunPlan
from bench.results.statistics.differences import Images


def images_of(plan: RunPlan, test: NoiseTest | None = None) -> Images:
    """Images of other images like them, unless their dataset says that they are a sample of no others.

    test: the noise that they meet; groups are those of the test images alone.
    """
    name, groups = plan.data.get("name", ""), plan.notes.groups
    if test is not None and not test.on_test_images:
        groups = ()
    return Images(name not in datasets or datasets[name].sample, np.array(groups) if groups else None)
