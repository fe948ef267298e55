"""How long a training lasts, and how its learning rate changes over that time."""

import math
from dataclasses import dataclass
from typing import Self

from bench.spec import Train


@dataclass(frozen=True)
class Budget:
    """The length of a training in images or in seconds, whichever ends first.

    images: training images in all, counted as often as they are seen.
    per_epoch: images of one pass over the training images. batch_size: images of one step.
    seconds: limit of the time spent in epochs, None without one.
    schedule: of the learning rate, `constant` or `cosine`.
    """

    images: int
    per_epoch: int
    batch_size: int
    seconds: float | None = None
    schedule: str = "constant"

    @classmethod
    def of(cls, train: Train, count: int) -> Self:
        """What the settings allow for a training on so many images."""
        return cls(train.images or train.epochs * count, count, train.batch_size, train.seconds, train.schedule)

    @property
    def steps(self) -> int:
        """Steps of the whole training. The last batch of each epoch, and the last epoch, may be smaller."""
        whole, rest = divmod(self.images, self.per_epoch)
        return whole * self._steps_per_epoch + math.ceil(rest / self.batch_size)

    def steps_before(self, epoch: int) -> int:
        """Steps of all epochs before this one, counted from 1."""
        return (epoch - 1) * self._steps_per_epoch

    def images_in(self, epoch: int) -> int:
        """Images of this epoch: all of them, or what is left."""
        return max(0, min(self.per_epoch, self.images - (epoch - 1) * self.per_epoch))

    def time_is_up(self, seconds: float) -> bool:
        """Whether a training that has taken so long must stop."""
        return self.seconds is not None and seconds >= self.seconds

    def spent(self, epochs: int, seconds: float) -> bool:
        """Whether nothing is left after so many epochs that took so long."""
        return not self.images_in(epochs + 1) or self.time_is_up(seconds)

    def rate(self, step: int, seconds: float) -> float:
        """Factor of the learning rate in a step, counted from 0, after so many seconds of training."""
        if self.schedule == "constant":
            return 1.0
        time = min(1.0, seconds / self.seconds) if self.seconds else 0.0
        return 0.5 * (1 + math.cos(math.pi * max(step / self.steps, time)))

    @property
    def _steps_per_epoch(self) -> int:
        return math.ceil(self.per_epoch / self.batch_size)
