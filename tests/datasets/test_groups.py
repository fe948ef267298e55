"""Pictures that belong together: which they are, and that no cut takes them apart."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.core.errors import BenchError, DataError
from bench.datasets import Dataset, datasets
from bench.datasets.groups import together
from tests.helpers.images import smooth_pictures

pytestmark = pytest.mark.usefixtures("cache")


def pictures(folder: Path, *names: str, seed: int = 0) -> None:
    for name, pixels in zip(names, smooth_pictures(len(names), 16, seed), strict=True):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.transpose(1, 2, 0)).save(path)


def scenes(folder: Path, count: int, crops: int = 3) -> None:
    pictures(folder, *(f"scene{scene}/{crop}.png" for scene in range(count) for crop in range(crops)))


def of(root: Path, **keys: object) -> Dataset:
    return datasets.parse({"folder": {"root": str(root), "size": 16, **keys}})


def test_without_a_key_ids_and_cuts_stay_and_each_picture_is_one_by_itself(tmp_path: Path) -> None:
    scenes(tmp_path, 10)
    assert "groups" not in of(tmp_path).identity()["source"]
    assert of(tmp_path).notes().groups == ()


def test_the_pages_of_a_stack_are_one_group(tmp_path: Path) -> None:
    scenes(tmp_path / "train", 4)
    pages = [Image.fromarray(pixels.transpose(1, 2, 0)) for pixels in smooth_pictures(3, 16, 9)]
    (tmp_path / "test").mkdir()
    pages[0].save(tmp_path / "test" / "stack.tif", save_all=True, append_images=pages[1:])
    pictures(tmp_path / "test", "alone.png", seed=11)
    assert sorted(np.bincount(of(tmp_path).notes().groups)) == [1, 3]


def test_a_group_stays_on_one_side_of_every_cut(tmp_path: Path) -> None:
    scenes(tmp_path, 10)
    grouped, plain = of(tmp_path, group="parent", validation=0.25), of(tmp_path, validation=0.25)
    assert grouped.identity() != plain.identity()
    found = grouped.load()
    groups = grouped.notes().groups
    assert len(found.test) == 6 and sorted(np.bincount(groups)) == [3, 3]
    assert "2 groups of test images, which intervals are over" in grouped.notes().facts
    pixels = {pixels.tobytes(): number // 3 for number, pixels in enumerate(smooth_pictures(30, 16, 0))}
    sides = [{pixels[image.tobytes()] for image in part} for part in (found.train, found.validation, found.test)]
    assert all(sides) and sum(map(len, sides)) == 10, "no scene is in two parts"


def test_a_file_names_groups_by_path_or_by_name(tmp_path: Path) -> None:
    root = tmp_path / "root"
    pictures(root / "train", *(f"{number}.png" for number in range(6)))
    pictures(root / "test", *(f"t{number}.png" for number in range(4)), seed=1)
    listed = tmp_path / "groups.csv"
    rows = ["name,group", *(f"{number}.png,a{number}" for number in range(6))]
    rows += ["test/t0.png,x", "t1.png,x", "t2.png,y", "t3.png,z"]
    listed.write_text("\n".join(rows))
    before = of(root, group=str(listed)).identity()
    assert sorted(np.bincount(of(root, group=str(listed)).notes().groups)) == [1, 1, 2]
    listed.write_text("\n".join(rows).replace("t1.png,x", "t1.png,y"))
    assert of(root, group=str(listed)).identity() != before, "another grouping, other data"
    listed.write_text("\n".join(rows).replace("t1.png,x", "t1.png,a0"))
    with pytest.raises(DataError, match=r"t1\.png \(test\) and .*0\.png \(train\) are of one group"):
        of(root, group=str(listed)).identity()
    listed.write_text("\n".join(rows[:-1]))
    with pytest.raises(DataError, match=r"no group for test/t3\.png"):
        of(root, group=str(listed)).identity()
    listed.write_text("a,b,c")
    with pytest.raises(DataError, match="row 1: expected a name and a group"):
        of(root, group=str(listed)).identity()
    with pytest.raises(DataError, match="can't be read"):
        of(root, group=str(tmp_path / "none.csv")).identity()


def test_too_few_groups_are_refused(tmp_path: Path) -> None:
    scenes(tmp_path, 2)
    with pytest.raises(DataError, match=r"2 groups in .* are too few"):
        of(tmp_path, group="parent").identity()
    pictures(tmp_path / "other" / "train" / "only", "a.png", "b.png", seed=3)
    pictures(tmp_path / "other" / "test" / "one", "c.png", seed=4)
    with pytest.raises(BenchError, match="one group, so none can be held back"):
        of(tmp_path / "other", group="parent", validation=0.5).load()


def test_what_belongs_together_by_either_belongs_together() -> None:
    assert together(6, [[0, 2], [2, 5], [3]]) == ((0, 2, 5),)
    assert together(3, []) == ()
