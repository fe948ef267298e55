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
    schedule: of the learning rate, `constant` or `cosine`. warmup: share of the budget in which it rises from 0.
    """

    images: int
    per_epoch: int
    batch_size: int
    seconds: float | None = None
    schedule: str = "constant"
    warmup: float = 0.0

    @classmethod
    def of(cls, train: Train, count: int) -> Self:
        """What the settings allow for a training on so many images."""
        images = train.images or train.epochs * count
        return cls(images, count, train.batch_size, train.seconds, train.schedule, train.warmup)

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
        time = min(1.0, seconds / self.seconds) if self.seconds else 0.0
        done, doing = (max(count / self.steps, time) for count in (step, step + 1))
        rising = min(1.0, doing / self.warmup) if self.warmup else 1.0  # a first step of rate 0 would be lost
        if self.schedule == "constant":
            return rising
        return rising * 0.5 * (1 + math.cos(math.pi * max(0.0, done - self.warmup) / (1 - self.warmup)))

    @property
    def _steps_per_epoch(self) -> int:
        return math.ceil(self.per_epoch / self.batch_size)
