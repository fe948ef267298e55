"""The base of datasets: pools of images, from which train, validation and test are chosen by a fixed shuffle."""

import hashlib
from bisect import bisect
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from annotated_types import Ge, Le, Lt

from bench.core.errors import DataError, SpecError
from bench.core.images import digest
from bench.core.registry import Registered, Registry
from bench.core.rng import permutation
from bench.core.sources import code_of
from bench.core.validation import PERCENT, Meant
from bench.core.words import counted
from bench.datasets import cache
from bench.datasets.download import Progress

PROTOCOL = 1  # of choosing, splitting and resizing images; raising it changes the identity of every dataset
SEED = 0  # of the split, the same in every run
PARTS = ("train", "validation", "test")
HARMLESS = "converted from "  # a conversion that leaves the look of an image as it is
SHARE = Meant(lambda value: PERCENT.reading(value) if value <= 100 else "It is a share, not a number of images")

Pixels = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Data:
    """The images of one dataset, ready to use.

    train, validation, test: uint8 (N, 3, size, size), read-only and memory-mapped, shared by all processes.
    label: its name in tables.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    label: str


@dataclass(frozen=True)
class Notes:
    """What people should know of a dataset's images.

    facts: harmless. caveats: what changes the numbers. groups: of each test image, the number of its group; empty where
    each is one by itself.
    """

    facts: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    groups: tuple[int, ...] = ()

    def __iter__(self) -> Iterator[str]:
        return iter((*self.facts, *self.caveats))


class Listed(NamedTuple):
    """A picture of the user's and what it is taken as.

    part: train, validation or test. path: below its folder, with its page where the file has several.
    what: its size in pixels, and what turns it into 8-bit RGB.
    """

    part: str
    path: str
    what: str


@dataclass(frozen=True)
class Source:
    """The pools that a dataset is chosen from.

    identity: JSON values that define the pixels of all pools; no paths, no times.
    train, validation, test: images in each pool; validation is None where it is split off the training pool.
    fill: called with positions in the pools and uint8 arrays (N, 3, size, size), one of each per part; writes the
        images and counts the conversions made. Without a validation pool, positions of "validation" are in the
        training pool.
    remarks: what to know about the pools. caveats: what of that changes the numbers.
    twins: groups of positions in the training pool that show one picture or belong together; validation images split
        off it share none with the training images.
    whole: whether all of the validation pool is taken, beside as many training images as are asked for.
    names: what the images of the test pool are called, in its order; None where their positions do.
    groups: of each position in the test pool, the number of its group; empty where each is one by itself.
    """

    identity: Mapping[str, Any]
    train: int
    validation: int | None
    test: int
    fill: Callable[[Pixels, Pixels], Counter[str]]
    remarks: tuple[str, ...] = ()
    caveats: tuple[str, ...] = ()
    twins: tuple[tuple[int, ...], ...] = ()
    whole: bool = False
    names: Callable[[], Sequence[str]] | None = None
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class Split:
    """How many images each part of a dataset takes."""

    train: int
    validation: int
    test: int = 0

    @classmethod
    def of(cls, asked: int, share: float, test: int = 0) -> "Split":
        """A split of the images asked for, of which a share is held back for validation."""
        held = round(share * asked)
        return cls(asked - held, held, test)

    @classmethod
    def most(cls, source: Source, share: float) -> int:
        """The most images that can be asked for: up to some number every split fits, beyond it none does."""
        numbers = range(1, source.train + (source.validation or 0) + 1)
        return bisect(numbers, False, key=lambda asked: not cls.of(asked, share).fits(source))

    def fits(self, source: Source) -> bool:
        """Whether the training and validation pools hold that many."""
        if source.validation is None:
            return self.train + self.validation <= source.train
        return self.train <= source.train and self.validation <= source.validation


@dataclass(frozen=True)
class Dataset(Registered):
    """Images to train and test on.

    size: side of the square images in pixels, from 8 to 512; other images are resized.
    train: training images, those held back for validation included; null takes all.
    validation: share of them held back for validation, in [0, 1). A folder's own validation pictures are taken instead,
        all of them, unless it is 0.
    test: test images; null takes all.
    """

    sample: ClassVar[bool] = True  # whether test images are a sample of others, or of no more than themselves

    size: Annotated[int, Ge(8), Le(512)] = 32
    train: Annotated[int, Ge(1)] | None = None
    validation: Annotated[float, Ge(0), Lt(1), SHARE] = 0.1
    test: Annotated[int, Ge(1)] | None = None

    def source(self) -> Source:
        """The pools to choose from; decodes no picture. Raises DataError where the data is unavailable."""
        raise TypeError(f"dataset {self.name!r} must define source()")

    def label(self, without: tuple[str, ...] = ()) -> str:
        """Its name in tables."""
        return self.name

    def absolute(self) -> Self:
        """The same dataset, named so that it is found from any current folder."""
        return self

    def prepare(self, progress: Progress | None = None) -> None:
        """Make the data available on this machine; cheap where it already is.

        progress: called with bytes done, bytes in all and their source. Raises DataError.
        """
        self.identity()

    def to_fetch(self) -> str:
        """What `prepare` would fetch and from where; empty where all is on this machine. Fetches nothing.

        Raises DataError where `prepare` would.
        """
        self.identity()
        return ""

    def listing(self) -> list[Listed]:
        """The user's own pictures with what each is taken as; empty for other data. Raises DataError."""
        return []

    def identity(self) -> dict[str, Any]:
        """JSON values that define every pixel of every part: equal identities, equal pixels.

        Decodes nothing. Raises DataError where the data is unavailable, SpecError where it has too few images.
        """
        return self._identity(self.source())

    def cached_as(self) -> dict[str, Any]:
        """Under what the cache keeps its images: the identity and, of a plug-in, the code that makes them.

        Raises as `identity` does.
        """
        return self._cached_as(self.source())

    def load(self) -> Data:
        """The images, from a cache that is built at first use and verified.

        Raises DataError where they are unavailable or unreadable, SpecError where there are too few.
        """
        return Data(**self._entry(self.source()).arrays, label=self.label())

    def digests(self) -> dict[str, str]:
        """A checksum of the images of each part in their order, by the part: what is seen, wherever it comes from.

        Part of no identity. Builds the cache if need be. Raises as `load` does.
        """
        identity = self.cached_as()
        known: dict[str, str] | None = cache.recall("digests", identity)
        if known is None:
            data = self.load()
            images = {part: [digest(image.transpose(1, 2, 0)) for image in getattr(data, part)] for part in PARTS}
            known = {part: hashlib.sha256("".join(each).encode()).hexdigest() for part, each in images.items()}
            with suppress(DataError):  # what is only read may lie where nothing can be written
                cache.remember("digests", identity, known)
        return known

    def test_names(self) -> list[str]:
        """What each test image is called, in the order of the test images. Raises as `load` does."""
        source = self.source()
        names = source.names() if source.names else range(source.test)
        return [str(names[position]) for position in self._choice(source)["test"]]

    def notes(self) -> Notes:
        """What people should know of the images, of these folders even where the cache has the same images of others.

        Builds the cache if need be. Raises as `load` does.
        """
        source = self.source()
        made = cache.made(self._cached_as(source))
        if made is None:
            made = self._entry(source).made
        told = {what: f"{counted(count, 'image')} {what}" for what, count in made.items()}
        facts = [text for what, text in told.items() if what.startswith(HARMLESS)]
        caveats = (*source.caveats, *(text for text in told.values() if text not in facts))
        groups = tuple(source.groups[place] for place in self._choice(source)["test"]) if source.groups else ()
        if len(set(groups)) == len(groups):
            return Notes((*source.remarks, *facts), caveats)
        facts.append(f"{counted(len(set(groups)), 'group')} of test images, which intervals are over")
        return Notes((*source.remarks, *facts), caveats, groups)

    def _entry(self, source: Source) -> cache.Entry:
        chosen = self._choice(source)
        shapes = {part: (len(chosen[part]), 3, self.size, self.size) for part in PARTS}
        return cache.fetch(self._cached_as(source), shapes, partial(source.fill, chosen))

    def _identity(self, source: Source) -> dict[str, Any]:
        counts = asdict(self._split(source))
        return {"name": self.name, "protocol": PROTOCOL, "size": self.size, **counts, "source": dict(source.identity)}

    def _cached_as(self, source: Source) -> dict[str, Any]:
        identity, code = self._identity(source), code_of(type(self))
        return identity if code == str(self.revision) else {**identity, "code": code}

    def _choice(self, source: Source) -> dict[str, np.ndarray]:
        """Positions in the pools, shuffled alike in every run; a smaller choice is the beginning of a larger one."""
        split = self._split(source)
        train = permutation(source.train, SEED, "split", "train")
        if source.validation is None:
            held = train[split.train :]
        else:
            held = permutation(source.validation, SEED, "split", "validation")
        train, held = _apart(train[: split.train], held[: split.validation], source.twins)
        return {
            "train": train,
            "validation": held,
            "test": permutation(source.test, SEED, "split", "test")[: split.test],
        }

    def _split(self, source: Source) -> Split:
        """How many images each part takes. Raises SpecError where a pool has too few."""
        share = 0.0 if source.whole else self.validation
        most = Split.most(source, share)
        asked = self.train or most
        split = Split.of(asked, share, self.test or source.test)
        if source.whole:
            split = replace(split, validation=source.validation or 0)
        if not split.fits(source):
            own = "" if source.validation is None else f" and {source.validation} for validation alone"
            raise SpecError(
                f"dataset {self.label()}: train: {asked} with validation: {self.validation} takes {split.train} "
                f"images and {split.validation} for validation; at size {self.size} it has {source.train}{own}. "
                f"Ask for at most {most}, or leave train out to take them all"
            )
        if not split.train or not split.test:
            raise SpecError(
                f"dataset {self.label()}: at size {self.size}, with train: {asked} and validation: {self.validation}, "
                f"there are {split.train} images to train on and {split.test} to test on; both need at least one"
            )
        if split.test > source.test:
            raise SpecError(
                f"dataset {self.label()}: test: {split.test} asked, {source.test} available at size {self.size}. "
                "Ask for fewer, or leave test out to take them all"
            )
        return split


def _apart(train: np.ndarray, held: np.ndarray, twins: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, np.ndarray]:
    """The same images, with all that show one picture on one side; as given where they are already.

    Raises SpecError where they all show one picture.
    """
    if not twins or not len(held):
        return train, held
    group = {position: number for number, positions in enumerate(twins) for position in positions}
    together: dict[int, list[int]] = {}
    for position in (*held.tolist(), *train[::-1].tolist()):
        together.setdefault(group.get(position, -1 - position), []).append(position)
    if len(together) == 1:
        raise SpecError(
            "all training images show the same picture or are of one group, so none can be held back; set validation: 0"
        )
    validation: list[int] = []
    for members in together.values():
        if len(validation) + len(members) <= len(held):
            validation += members
    validation = validation or min(together.values(), key=len)
    everything = np.concatenate([train, held])
    return everything[~np.isin(everything, validation)], np.array(validation, dtype=held.dtype)


datasets: Registry[Dataset] = Registry("dataset", Dataset)


def fallback(dataset: Dataset, name: str) -> Dataset:
    """The dataset registered under `name`, with the size and the numbers of images of `dataset`."""
    common = {key: getattr(dataset, key) for key in Dataset.field_names()}
    return datasets[name].from_params(common)
