"""Files: whole or not at all, with the usual rights, left alone where nothing changes."""

import os
from pathlib import Path

import pytest

from bench.results.files import NotWritable, update, write


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "deep" / "file", "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(NotWritable, match="file can't be written: No space left on device") as raised:
        write(path, "new")
    assert raised.value.exit_code == 3
    assert path.read_text() == "old"
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


def test_a_file_in_the_way_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("a file")
    with pytest.raises(NotWritable, match="results/x/y can't be written"):
        write(tmp_path / "results" / "x" / "y", "")


def test_files_get_the_usual_rights(tmp_path: Path) -> None:
    (tmp_path / "usual").write_text("")
    write(tmp_path / "ours", "")
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_an_update_leaves_what_is_right_already(tmp_path: Path) -> None:
    path = update(tmp_path / "file", "ä")
    os.utime(path, (1, 1))
    update(path, "ä")
    assert path.stat().st_mtime == 1
    update(path, "b")
    assert path.read_text() == "b"
