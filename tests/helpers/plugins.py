"""Sources of plug-ins that several tests load."""

MODEL = '''
from dataclasses import dataclass

from torch import nn

from bench.models import TrainableModel, models


@models.register("shallow")
@dataclass(frozen=True)
class Shallow(TrainableModel):
    """One convolution.

    Source: a test.
    """

    def build(self, size):
        return nn.Conv2d(3, 3, 3, padding=1)
'''
