"""The pools of pictures that folders give: for training, validation and testing, none of them in two."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from bench.core import pictures
from bench.core.errors import DataError
from bench.core.rng import permutation
from bench.core.words import counted
from bench.datasets.base import SEED
from bench.datasets.download import Progress
from bench.datasets.groups import Grouping, alike, by_file, check_apart
from bench.datasets.layout import EXPECTED, PARTS, File, Layout, absolute, opened, short_name
from bench.datasets.survey import Page, survey

TEST_SHARE = 0.2  # of the pictures of a folder without folders of parts
NAMED = 10  # files in a message; the others are counted


@dataclass
class Pools:
    """Pictures by part.

    validation: pictures in folders of their own; None where they are to be split off the training pictures.
    left_out: how many were left out of "validation" and "test" because they show pictures of another part.
    facts, caveats: what to know of them, and what of that changes the numbers.
    """

    train: list[Page] = field(default_factory=list)
    validation: list[Page] | None = None
    test: list[Page] = field(default_factory=list)
    left_out: dict[str, int] = field(default_factory=dict)
    facts: list[str] = field(default_factory=list)
    caveats: list[str] = field(default_factory=list)

    @property
    def parts(self) -> dict[str, list[Page]]:
        """The parts that have pictures of their own."""
        own = {"train": self.train, "validation": self.validation, "test": self.test}
        return {part: pages for part, pages in own.items() if pages is not None}


@dataclass(frozen=True)
class Gathering:
    """Takes pictures from folders.

    label: of the dataset, in messages. roots, test_root, duplicates, white, skip_unreadable: its keys.
    validate: whether validation pictures are wanted. grouping: what pictures of a group have in common.
    grouped: whether that was asked for, so that no cut may take a group apart.
    """

    label: str
    roots: tuple[str, ...]
    test_root: str | None
    duplicates: str
    white: float | None
    skip_unreadable: bool
    validate: bool
    grouping: Grouping = by_file
    grouped: bool = False

    @property
    def folders(self) -> list[str]:
        return [str(absolute(root)) for root in (*self.roots, *([self.test_root] if self.test_root else []))]

    def pools(self, progress: Progress | None = None) -> Pools:
        """The pictures of each part. Raises DataError where there are none, or some can't be read or lie in two.

        progress: told of the bytes read, where that takes long.
        """
        pools = Pools()
        layouts = {root: Layout.of(opened(root)) for root in dict.fromkeys(self.roots)}
        files = [self._files(layouts[root], root, pools) for root in self.roots]
        tested = [] if self.test_root is None else self._tested(self.test_root, pools)
        pages = self._seen([*chain.from_iterable(chain(*of.values()) for of in files), *tested], pools, progress)
        for root, of in zip(self.roots, files, strict=True):
            self._add(root, {part: list(chain(*map(pages.__getitem__, found))) for part, found in of.items()}, pools)
        pools.test += chain(*map(pages.__getitem__, tested))
        drawn = self.test_root is None and not any(layout.split for layout in layouts.values())
        self._separate(pools, drawn)
        if self.grouped:
            check_apart(pools.parts, self.grouping, self.label)
        _tell(pools)
        return pools

    def _files(self, layout: Layout, root: str, pools: Pools) -> dict[str, list[File]]:
        """The files wanted of a root, by part; under "all" those that are yet to be split."""
        name = short_name(root)
        pools.facts += [text for text in layout.remarks(name) if text not in pools.facts]
        pools.caveats += [text for text in layout.caveats(name) if text not in pools.caveats]
        if not layout.split:
            return {"all" if self.test_root is None else "train": _required(layout, "all", root)}
        wanted = {"train": _required(layout, "train", root)}
        if self.test_root is None:
            wanted["test"] = _required(layout, "test", root, "; or name another folder by test_root")
        if self.validate and (own := layout.part("validation")):
            wanted["validation"] = own
        for part, files in layout.parts.items():
            if files and part not in wanted:
                why = "validation is 0" if part == "validation" else "test_root names others"
                pools.facts.append(f"{counted(len(files), f'{part} picture')} of {name} not used: {why}")
        return wanted

    def _tested(self, root: str, pools: Pools) -> list[File]:
        layout = Layout.of(opened(root))
        name = short_name(root)
        pools.facts += [*layout.remarks(name), f"tested on the images of {name} only"]
        pools.caveats += layout.caveats(name)
        part = "test" if layout.split else "all"
        for other, files in layout.parts.items():
            if files and other != part:
                pools.facts.append(f"{counted(len(files), f'{other} picture')} of {name} not used: it is the test_root")
        return _required(layout, part, root)

    def _seen(self, files: Sequence[File], pools: Pools, progress: Progress | None) -> dict[File, list[Page]]:
        """The pictures in each file. Raises DataError where one can't be read, unless those are passed over."""
        seen = survey(self.folders, files, self.white, progress)
        if seen.faults and not self.skip_unreadable:
            raise DataError(_unreadable(sorted(seen.faults.values())))
        if seen.faults:
            pools.caveats.append(f"{counted(len(seen.faults), 'file')} that can't be read passed over")
        return {file: seen.pages.get(file, []) for file in files}

    def _add(self, root: str, pages: dict[str, list[Page]], pools: Pools) -> None:
        """Put the pictures of a root into the pools."""
        if pool := pages.get("all"):
            ours, theirs = self._drawn(root, pool, pools)
            pools.train += ours
            pools.test += theirs
        pools.train += pages.get("train", [])
        pools.test += pages.get("test", [])
        if "validation" in pages:
            pools.validation = [*(pools.validation or []), *pages["validation"]]

    def _drawn(self, root: str, pool: list[Page], pools: Pools) -> tuple[list[Page], list[Page]]:
        """Pictures for training and for testing, those of one group together where there are groups enough."""
        units = [[pool[place] for place in places] for places in alike(pool, self.grouping)]
        if not round(TEST_SHARE * len(units)) and len(pool) > len(units):
            if self.grouped:
                raise DataError(
                    f"dataset {self.label}: {counted(len(units), 'group')} in {short_name(root)} are too few to draw a "
                    "fifth of them for testing; name other pictures by test_root"
                )
            units = [[page] for page in pool]
            pools.caveats.append(f"pages of one file of {short_name(root)} are both trained and tested on")
        order = permutation(len(units), SEED, "split", "folder")
        cut = round(TEST_SHARE * len(units))
        ours, theirs = (
            [page for place in sorted(places) for page in units[place]] for places in (order[cut:], order[:cut])
        )
        pools.facts.append(f"{len(theirs)} of {len(pool)} images of {short_name(root)} drawn for testing")
        return ours, theirs

    def _separate(self, pools: Pools, drawn: bool) -> None:
        """Leave out, or refuse, test pictures that are training pictures, and validation pictures that are either.

        drawn: whether test pictures were drawn from the folders of the training pictures, so that copies are no fault
        of theirs.
        """
        pools.test = self._without(pools.test, pools.train, "test", pools, drawn)
        if pools.validation is not None:
            tested = {page.file.path for page in pools.test}  # test_root may be a root's folder of validation pictures
            own = [page for page in pools.validation if page.file.path not in tested]
            pools.validation = self._without(own, [*pools.train, *pools.test], "validation", pools) or None

    def _without(
        self, pages: list[Page], others: Iterable[Page], part: str, pools: Pools, drop: bool = False
    ) -> list[Page]:
        """The pictures of a part that show none of the others. Raises DataError where copies are refused.

        Pictures of one colour are alike by chance: only where copies are dropped anyway do they count.
        """
        drop = drop or self.duplicates == "drop"
        shown = {page.seen.digest: page for page in others}
        pairs = {place: shown[page.seen.digest] for place, page in enumerate(pages) if page.seen.digest in shown}
        if not drop:
            pairs = {place: page for place, page in pairs.items() if not page.seen.constant}
            self._refuse([(pages[place], other) for place, other in pairs.items()], len(pages), part)
        pools.left_out[part] = len(pairs)
        return [page for place, page in enumerate(pages) if place not in pairs]

    def _refuse(self, pairs: Sequence[tuple[Page, Page]], among: int, part: str) -> None:
        if not pairs:
            return
        named = [f"{page} shows the same pixels as {other}" for page, other in pairs]
        effect = "scores would be too good" if part == "test" else "the checkpoint would be chosen on them"
        raise DataError(
            f"dataset {self.label}: {len(pairs)} of {counted(among, f'{part} image')} are "
            f"{'training' if part == 'test' else 'training or test'} images too, so {effect}. Delete one of each pair, "
            f"or set `duplicates: drop` to leave them out of the {part}:\n  " + "\n  ".join(_first(named))
        )


def twins(pages: Sequence[Page]) -> tuple[tuple[int, ...], ...]:
    """Groups of positions that show one picture."""
    groups: dict[str, list[int]] = {}
    for position, page in enumerate(pages):
        groups.setdefault(page.seen.digest, []).append(position)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _required(layout: Layout, part: str, root: str, hint: str = "") -> list[File]:
    """The files of a part. Raises DataError if there are none."""
    if files := layout.part(part):
        return files
    if part == "all":
        kinds = f" ({', '.join(pictures.SUFFIXES)})"
        raise DataError(f"dataset folder: {absolute(root)} has no pictures{kinds}; {EXPECTED}")
    names = " or ".join(PARTS[part])
    raise DataError(
        f"dataset folder: {absolute(root)} has no pictures in a folder called {names}, in any case; {EXPECTED}{hint}"
    )


def _tell(pools: Pools) -> None:
    """Say what of the pictures are copies or of one colour, and which lie together in files."""

    def repeated(pages: Sequence[Page], kind: str) -> list[str]:
        repeats = sum(len(group) - 1 for group in twins(pages))
        return [f"{counted(repeats, kind)} with the same pixels as another"] if repeats else []

    train = list(dict.fromkeys(pools.train))  # a root may be named twice
    every = [*train, *pools.test, *(pools.validation or [])]
    of = {"test": "training", "validation": "training or test"}
    pools.facts += [
        f"{counted(number, 'image')} left out of the {part} split: copies of {of[part]} images"
        for part, number in pools.left_out.items()
        if number
    ]
    pools.facts += repeated(train, "training image")
    if plain := sum(page.seen.constant for page in every):
        pools.facts.append(f"{counted(plain, 'image')} of one colour")
    pools.caveats += repeated(pools.test, "test image")
    if stacked := [page for page in every if page.seen.page]:
        files = len({page.file for page in stacked})
        pools.caveats.append(f"the pages of {counted(files, 'file')} are images of their own, which may be alike")


def _unreadable(reasons: Sequence[str]) -> str:
    """That files can't be read, the first of them by name, and what to do."""
    advice = "or set `skip_unreadable: true` to pass over such files"
    if len(reasons) == 1:
        return f"{reasons[0]}; replace or delete it, {advice}"
    named = "\n  ".join(_first(reasons))
    return f"{len(reasons)} pictures can't be read; replace or delete them, {advice}:\n  {named}"


def _first(texts: Sequence[str]) -> list[str]:
    return [*texts[:NAMED], *([f"and {len(texts) - NAMED} more"] if len(texts) > NAMED else [])]
