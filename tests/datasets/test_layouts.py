"""Folders as people have them: what is taken as what, and what is passed over."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import DataError
from bench.datasets import cache, layout, survey
from bench.datasets.folder import Folder
from tests.datasets.test_datasets import noise, save

pytestmark = pytest.mark.usefixtures("own_cache")
SIDE = 8


def draw(root: Path, names: str, first: int = 0) -> Path:
    """Different pictures under these names, which are separated by spaces."""
    for number, name in enumerate(names.split()):
        save(root / name, noise(first + number, SIDE, SIDE, 3))
    return root


def sizes(root: Path, **keys: Any) -> tuple[int, int, int]:
    """How many pictures a folder gives for training, validation and testing."""
    identity = Folder(root=str(root), size=SIDE, **{"validation": 0, **keys}).identity()
    return identity["train"], identity["validation"], identity["test"]


def notes(root: Path, **keys: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    found = Folder(root=str(root), size=SIDE, **{"validation": 0, **keys}).notes()
    return found.facts, found.caveats


def test_pictures_are_found_at_any_depth(tmp_path: Path) -> None:
    draw(tmp_path, "train/a/0.png train/b/sub/1.png train/b/sub/deeper/2.png test/x/y/z/3.png")
    assert sizes(tmp_path) == (3, 0, 1)


@pytest.mark.parametrize("train", ["train", "Train", "TRAIN", "training"])
@pytest.mark.parametrize("test", ["test", "Test", "TEST", "Testing"])
def test_parts_are_known_in_any_case(train: str, test: str, tmp_path: Path) -> None:
    draw(tmp_path, f"{train}/0.png {train}/1.png {test}/2.png")
    assert sizes(tmp_path) == (2, 0, 1)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Val"])
def test_validation_pictures_of_the_folder_are_used_all_of_them(name: str, tmp_path: Path) -> None:
    draw(tmp_path, f"train/0.png train/1.png train/2.png {name}/3.png {name}/4.png test/5.png")
    assert sizes(tmp_path, validation=0.1) == (3, 2, 1)
    assert sizes(tmp_path, validation=0.1, train=1) == (1, 2, 1)
    data = Folder(root=str(tmp_path), size=SIDE).load()
    assert {image.tobytes() for image in data.validation} == {
        noise(seed, SIDE, SIDE, 3).transpose(2, 0, 1).tobytes() for seed in (3, 4)
    }
    assert sizes(tmp_path) == (3, 0, 1)
    assert "2 validation pictures of" in notes(tmp_path)[0][0] and "validation is 0" in notes(tmp_path)[0][0]


def test_a_validation_folder_may_be_the_test_root(tmp_path: Path) -> None:
    draw(tmp_path, "train/0.png train/1.png train/2.png val/3.png")
    with pytest.raises(DataError, match=r"no pictures in a folder called test or testing.*test_root"):
        sizes(tmp_path)
    assert sizes(tmp_path, test_root=str(tmp_path / "val"), validation=0.34) == (2, 1, 1)


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    draw(tmp_path, "bus/0.png bus/1.png car/2.png car/3.png train/4.png")
    assert sizes(tmp_path) == (4, 0, 1), "five pictures in three classes, a fifth of them for testing"
    draw(tmp_path, "test/5.png", first=5)
    assert sizes(tmp_path) == (1, 0, 1)
    assert notes(tmp_path)[1] == (f"4 pictures of {tmp_path.name} beside train/ and test/ not used",)


def test_an_empty_folder_of_a_part_is_no_class(tmp_path: Path) -> None:
    draw(tmp_path, "train/0.png other/1.png").joinpath("test").mkdir()
    with pytest.raises(DataError, match="called test or testing"):
        sizes(tmp_path)


@pytest.mark.parametrize("names", ["box/train/0.png box/test/1.png", "a/bottle/Train/0.png a/bottle/val/1.png"])
def test_parts_further_inside_are_not_mixed(names: str, tmp_path: Path) -> None:
    draw(tmp_path, names)
    with pytest.raises(DataError, match="has folders of parts of its own: name it as root"):
        sizes(tmp_path)


def test_whatever_is_passed_over_is_counted_by_kind(tmp_path: Path) -> None:
    draw(tmp_path, "0.png 1.png 2.png 3.png 4.png @eaDir/0.png __MACOSX/1.png .thumbs/2.png ._0.png", first=0)
    for name in ("notes.txt", "more.TXT", "LICENSE", "raw.heic"):
        (tmp_path / name).write_text("x")
    (tmp_path / "back").symlink_to(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    facts, caveats = notes(tmp_path)
    [passed] = [fact for fact in facts if fact.startswith("passed over")]
    kinds = "2 .txt files, 1 .heic file, 1 @eaDir folder, 1 __MACOSX folder, 1 hidden file, 1 hidden folder"
    assert passed == f"passed over in {tmp_path.name}: {kinds}, 3 others" and not caveats
    assert sizes(tmp_path) == (4, 0, 1)
    assert layout.find(tmp_path).left == Counter(
        {
            ".txt file": 2,
            "hidden folder": 1,
            "hidden file": 1,
            "@eaDir folder": 1,
            "__MACOSX folder": 1,
            ".heic file": 1,
            "suffixless file": 1,
            "link to a folder around or inside its own": 1,
            "special file": 1,
        }
    )


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    draw(tmp_path, "a/0.png b/1.png")
    (tmp_path / "a/to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b/to_a").symlink_to(tmp_path / "a")
    names = [os.path.relpath(file.path, tmp_path) for file in layout.find(tmp_path).files]
    assert sorted(names) == ["a/0.png", "a/to_b/1.png", "b/1.png", "b/to_a/0.png"]


def test_a_link_to_the_training_pictures_is_no_test(tmp_path: Path) -> None:
    draw(tmp_path, "train/0.png train/1.png")
    (tmp_path / "test").symlink_to(tmp_path / "train")
    with pytest.raises(DataError, match="2 of 2 test images are training images too"):
        sizes(tmp_path)


@pytest.mark.parametrize("suffix", ["jfif", "jpe", "JPG", "avif", "jp2", "tga", "pnm", "dib", "apng", "webp"])
def test_suffixes_that_pillow_reads_are_taken(suffix: str, tmp_path: Path) -> None:
    draw(tmp_path, f"train/0.png train/1.{suffix} test/2.{suffix}")
    assert sizes(tmp_path) == (2, 0, 1)
    assert not any("passed over" in fact for fact in notes(tmp_path)[0])


def stack(path: Path, seeds: range, **keys: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    first, *others = [Image.fromarray(noise(seed, SIDE, SIDE)) for seed in seeds]
    first.save(path, save_all=True, append_images=others, **keys)


@pytest.mark.parametrize("suffix", ["tif", "gif", "png", "webp"])
def test_the_pages_of_a_file_are_pictures(suffix: str, tmp_path: Path) -> None:
    keys = {"lossless": True} if suffix == "webp" else {}
    stack(tmp_path / f"train/stack.{suffix}", range(5), **keys)
    stack(tmp_path / f"test/stack.{suffix}", range(10, 13), **keys)
    assert sizes(tmp_path) == (5, 0, 3)
    assert "the pages of 2 files are images of their own, which may be alike" in notes(tmp_path)[1]
    data = Folder(root=str(tmp_path), size=SIDE, validation=0).load()
    assert {image[0].tobytes() for image in data.train} == {noise(seed, SIDE, SIDE).tobytes() for seed in range(5)}
    assert {image[0].tobytes() for image in data.test} == {noise(seed, SIDE, SIDE).tobytes() for seed in range(10, 13)}


def test_the_pages_of_one_file_are_not_torn_apart_where_there_are_others(tmp_path: Path) -> None:
    for number in range(5):
        stack(tmp_path / f"{number}.tif", range(10 * number, 10 * number + 4))
    data = Folder(root=str(tmp_path), size=SIDE, validation=0).load()
    tested = {
        int(image[0].tobytes() == noise(seed, SIDE, SIDE).tobytes()) * seed for image in data.test for seed in range(50)
    }
    assert len(data.train) == 16 and len({seed // 10 for seed in tested - {0}}) == 1
    alone = tmp_path / "alone"
    stack(alone / "scan.tif", range(10))
    assert sizes(alone) == (8, 0, 2)
    assert any("are both trained and tested on" in caveat for caveat in notes(alone)[1])


def test_previews_inside_a_tiff_are_no_pictures(tmp_path: Path) -> None:
    import tifffile

    (tmp_path / "train").mkdir()
    with tifffile.TiffWriter(tmp_path / "train/pyramid.tif") as file:
        file.write(noise(0, 16, 16))
        file.write(noise(1, 8, 8), subfiletype=1)
        file.write(noise(2, 16, 16))
    draw(tmp_path, "test/3.png", first=3)
    assert sizes(tmp_path) == (2, 0, 1)


def test_copies_between_validation_and_other_parts_are_refused_or_dropped(tmp_path: Path) -> None:
    draw(tmp_path, "train/0.png train/1.png val/2.png test/3.png")
    for seed, name in ((0, "of_train.bmp"), (3, "of_test.bmp")):
        save(tmp_path / "val" / name, noise(seed, SIDE, SIDE, 3))
    with pytest.raises(DataError, match=r"(?s)2 of 3 validation images are training or test images too.*of_test\.bmp"):
        sizes(tmp_path, validation=0.1)
    assert sizes(tmp_path, validation=0.1, duplicates="drop") == (2, 1, 1)
    facts = notes(tmp_path, validation=0.1, duplicates="drop")[0]
    assert "2 images left out of the validation split: copies of training or test images" in facts


def test_pictures_of_one_colour_are_counted_not_refused(tmp_path: Path) -> None:
    draw(tmp_path, "train/0.png train/1.png test/2.png")
    for part in ("train", "test"):
        save(tmp_path / part / "white.png", np.full((SIDE, SIDE, 3), 255, np.uint8))
    assert sizes(tmp_path) == (3, 0, 2)
    assert "2 images of one colour" in notes(tmp_path)[0]


def test_a_root_and_a_link_to_it_are_one(tmp_path: Path) -> None:
    draw(tmp_path / "real", "0.png 1.png 2.png")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(DataError, match="named 2 times"):
        Folder(root=(str(tmp_path / "real"), str(tmp_path / "link")), size=SIDE).identity()


BROKEN: dict[str, Callable[[Path], object]] = {
    "empty.png": lambda path: path.write_bytes(b""),
    "text.jpg": lambda path: path.write_text("no picture"),
    "cut.png": lambda path: path.write_bytes((path.parent / "0.png").read_bytes()[:60]),
    "gone.png": lambda path: path.symlink_to("nowhere"),
}


def test_files_that_cannot_be_read_are_named_or_passed_over(tmp_path: Path) -> None:
    draw(tmp_path, "train/0.png train/1.png train/2.png test/3.png")
    expected = sizes(tmp_path)
    identity = Folder(root=str(tmp_path), size=SIDE, validation=0).identity()
    for name, spoil in BROKEN.items():
        spoil(tmp_path / "train" / name)
    with pytest.raises(DataError) as caught:
        sizes(tmp_path)
    assert all(name in str(caught.value) for name in BROKEN) and "skip_unreadable: true" in str(caught.value)
    assert sizes(tmp_path, skip_unreadable=True) == expected
    assert "4 files that can't be read passed over" in notes(tmp_path, skip_unreadable=True)[1]
    passing = Folder(root=str(tmp_path), size=SIDE, validation=0, skip_unreadable=True)
    assert passing.identity() == identity, "the pixels are the same"
    passing.load()


def test_a_sound_picture_over_pillows_limit_is_not_called_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draw(tmp_path, "train/0.png train/1.png test/2.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 20)
    survey._survey.cache_clear()
    with pytest.raises(DataError, match="has more than 40 pixels, the limit") as caught:
        sizes(tmp_path)
    assert "not a picture" not in str(caught.value)


def test_a_codec_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path, "train/0.png train/1.png test/2.jp2")
    monkeypatch.delattr("PIL.Image.core.jpeg2k_decoder")
    with pytest.raises(DataError, match=r"2\.jp2: Pillow has no decoder for it here .*; convert it to PNG"):
        sizes(tmp_path)


def test_the_same_folder_gives_the_same_split_where_case_is_ignored(tmp_path: Path) -> None:
    """Such a disk finds Train/ as train/; here the names themselves are changed."""
    draw(tmp_path / "one", "Train/0.png Train/1.png Train/2.png Test/3.png")
    shutil.copytree(tmp_path / "one", tmp_path / "other")
    (tmp_path / "other/Train").rename(tmp_path / "other/train")
    assert sizes(tmp_path / "one") == sizes(tmp_path / "other") == (3, 0, 1)
    first, second = (Folder(root=str(tmp_path / name), size=SIDE, validation=0).identity() for name in ("one", "other"))
    assert first == second


def scene(seed: int) -> np.ndarray:
    return noise(seed, SIDE, SIDE)


def twelve_bits(path: Path, pixels: np.ndarray) -> None:
    import tifffile

    values = pixels.astype(np.uint16) * 16 + pixels // 16
    tifffile.imwrite(path, values, photometric="minisblack", metadata=None, extratags=[(281, "H", 1, 4095, True)])


FORMATS: dict[str, tuple[str, Callable[[Path, np.ndarray], object]]] = {
    "8 bits": ("png", lambda path, pixels: Image.fromarray(pixels).save(path)),
    "16 bits": ("png", lambda path, pixels: Image.fromarray(pixels.astype(np.uint16) * 257).save(path)),
    "12 bits": ("tif", twelve_bits),
    "palette": ("png", lambda path, pixels: Image.fromarray(pixels).convert("P").save(path)),
    "BMP": ("bmp", lambda path, pixels: Image.fromarray(pixels).save(path)),
}


def test_the_same_scenes_are_the_same_data_in_every_format(tmp_path: Path) -> None:
    for kind, (suffix, write) in FORMATS.items():
        for part, seeds in (("train", range(6)), ("test", range(10, 13))):
            (tmp_path / kind / part).mkdir(parents=True)
            for seed in seeds:
                write(tmp_path / kind / part / f"{seed:02}.{suffix}", scene(seed))
    stack(tmp_path / "stack/train/all.tif", range(6))
    stack(tmp_path / "stack/test/all.tif", range(10, 13))
    found = {kind: Folder(root=str(tmp_path / kind), size=SIDE, validation=0.34).load() for kind in (*FORMATS, "stack")}
    for part in ("train", "validation", "test"):
        arrays = [getattr(data, part) for data in found.values()]
        assert len(arrays[0]) and all(np.array_equal(arrays[0], other) for other in arrays)


def test_reading_that_takes_long_is_told_of(tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw(tmp_path, "train/0.png train/1.png train/2.png test/3.png")
    total = sum(path.stat().st_size for path in tmp_path.rglob("*.png"))
    dataset = Folder(root=str(tmp_path), size=SIDE, validation=0)
    told: list[tuple[int, int, str]] = []
    dataset.prepare(lambda *facts: told.append(facts))
    assert not told, "nothing where it takes no time"
    shutil.rmtree(own_cache)
    cache._open.cache_clear()
    monkeypatch.setattr(survey, "SILENT", -1)
    dataset.prepare(lambda *facts: told.append(facts))
    for what in ("comparing pictures", "resizing pictures"):
        done = [facts[0] for facts in told if facts[2] == what]
        assert done == sorted(done) and done[-1] == total and {facts[1] for facts in told} == {total}
    told.clear()
    dataset.prepare(lambda *facts: told.append(facts))
    assert not told, "nothing is read twice"


def test_what_a_test_root_has_beside_its_test_pictures_is_said(tmp_path: Path) -> None:
    draw(tmp_path / "own", "0.png 1.png")
    draw(tmp_path / "other", "train/2.png train/3.png test/4.png loose.png", first=2)
    facts, caveats = notes(tmp_path / "own", test_root=str(tmp_path / "other"))
    assert "2 train pictures of other not used: it is the test_root" in facts
    assert caveats == ("1 picture of other beside train/ and test/ not used",)
