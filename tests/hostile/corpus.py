"""Results folders from strangers, each spoilt in one way: what is spoilt, how, and why that matters.

A path leads into a JSON file: keys and positions, separated by slashes; `*` is the first there is.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HTML, LATEX, MARKDOWN, TERMINAL = (
    "<script>alert(1)</script>",
    r"\input{/etc/passwd}$_^",
    "a|b`c`*d*",
    "\x1b]0;x\x07\x1b[2J",
)
DEEP: Any = None
for _ in range(300):
    DEEP = {"of": DEEP}


class Spoilt(NamedTuple):
    """One way to spoil a folder. what: of it, as `plan`, or `spoil` itself."""

    why: str
    what: str
    path: str = ""
    value: Any = None
    spoil: Callable[[Path], object] | None = None


def overwritten(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def terabyte(path: Path) -> None:
    header = json.dumps({"a": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"\0" * 64)


def linked_to_itself(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def pipe_instead(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


CORPUS: dict[str, Spoilt] = {
    # The plan: what the folder was run for.
    "plan a list": Spoilt("no object at all", "plan", spoil=overwritten(b"[]")),
    "plan a number": Spoilt("no object at all", "plan", spoil=overwritten(b"7")),
    "plan empty": Spoilt("a power failure leaves it", "plan", spoil=overwritten(b"")),
    "plan cut short": Spoilt("a download that broke off", "plan", spoil=cut),
    "plan no UTF-8": Spoilt("another program wrote it", "plan", spoil=overwritten(b"\xff\xfe{}")),
    "plan with NUL": Spoilt("a hole in the disk", "plan", spoil=overwritten(b"\0" * 500)),
    "plan deep": Spoilt("recursion ends Python", "plan", spoil=overwritten(b"[" * 200_000)),
    "plan a folder": Spoilt("a name that is no file", "plan", spoil=folder_instead),
    "plan a loop": Spoilt("a link that leads to itself", "plan", spoil=linked_to_itself),
    "format a word": Spoilt("compared with a number", "plan", "format", "1"),
    "format huge": Spoilt("from a later version", "plan", "format", 10**30),
    "cells a word": Spoilt("iterated over by letters", "plan", "cells", "none"),
    "cells missing": Spoilt("a key that every plan has", "plan", "cells", ...),
    "cell null": Spoilt("a hole in a list", "plan", "cells/0", None),
    "cell id outside": Spoilt("reads and writes beyond the folder", "plan", "cells/0/id", "../../../../tmp/x"),
    "cell id absolute": Spoilt("reads and writes anywhere", "plan", "cells/0/id", "/etc"),
    "cell id empty": Spoilt("names the folder of all cells", "plan", "cells/0/id", ""),
    "cell id a number": Spoilt("a path is text", "plan", "cells/0/id", 5),
    "cell id with NUL": Spoilt("no file can have this name", "plan", "cells/0/id", "a\0b"),
    "cell id long": Spoilt("longer than names may be", "plan", "cells/0/id", "a" * 5000),
    "test id outside": Spoilt("reads beyond the folder", "plan", "cells/0/tests/0/id", "../../cell"),
    "test id a list": Spoilt("no hash", "plan", "cells/0/tests/0/id", []),
    "tests a number": Spoilt("not iterable", "plan", "cells/0/tests", 3),
    "labels null": Spoilt("subscripted", "plan", "cells/0/labels", None),
    "model a number": Spoilt("parsed as text", "plan", "cells/0/labels/model", 5),
    "model HTML": Spoilt("shown on a page", "plan", "cells/0/labels/model", HTML),
    "model LaTeX": Spoilt("typeset in a paper", "plan", "cells/0/labels/model", LATEX),
    "model Markdown": Spoilt("breaks a table", "plan", "cells/0/labels/model", MARKDOWN),
    "model terminal": Spoilt("commands the terminal", "plan", "cells/0/labels/model", TERMINAL),
    "model surrogate": Spoilt("can't be encoded", "plan", "cells/0/labels/model", "\ud800"),
    "label unclosed": Spoilt("brackets that never end", "plan", "cells/0/labels/model", "((((" * 1000),
    "seed a list": Spoilt("no hash", "plan", "cells/0/labels/seed", [1]),
    "seed an object": Spoilt("no number", "plan", "cells/0/labels/seed", {"a": 1}),
    "ensemble a word": Spoilt("multiplied", "plan", "cells/0/ensemble", "8"),
    "varied a list": Spoilt("has no items", "plan", "cells/0/varied", []),
    "metrics empty": Spoilt("the first leads", "plan", "metrics", []),
    "metric unknown key": Spoilt("from a later version", "plan", "metrics/0/colour", "red"),
    "metric decimals huge": Spoilt("a format of a billion digits", "plan", "metrics/0/decimals", 10**9),
    "metric decimals negative": Spoilt("no format", "plan", "metrics/0/decimals", -5),
    "metric better neither": Spoilt("a direction that is none", "plan", "metrics/0/better", "sideways"),
    "metric column outside": Spoilt("becomes the name of a figure's file", "plan", "metrics/0/column", "../../x"),
    "metric ceiling a word": Spoilt("compared with numbers", "plan", "metrics/0/ceiling", "high"),
    "data a list": Spoilt("an identity is an object", "plan", "data", []),
    "digests a word": Spoilt("an object of checksums", "plan", "digests", "x"),
    "notes unknown": Spoilt("from a later version", "plan", "notes", {"rumours": ["x"]}),
    "notes groups words": Spoilt("numbers of groups", "plan", "notes/groups", ["a"]),
    "note an object": Spoilt("shown as text", "plan", "note", DEEP),
    "dataset a number": Spoilt("shown as text", "plan", "dataset", 4),
    "code a list": Spoilt("looked up", "plan", "code", []),
    "recipe a word": Spoilt("has no items", "plan", "cells/0/recipe", "x"),
    "level infinite": Spoilt("drawn on an axis", "plan", "cells/0/tests/0/level", {"key": "sigma", "value": 1e999}),
    "level a word": Spoilt("drawn on an axis", "plan", "cells/0/tests/0/level", {"key": "sigma", "value": "much"}),
    # Markers of cells.
    "cell marker a list": Spoilt("no object", "cell", spoil=overwritten(b"[1]")),
    "cell marker a pipe": Spoilt("reading it never ends", "cell", spoil=pipe_instead),
    "cell checksums a list": Spoilt("looked up", "cell", "checksums", []),
    "cell sizes outside": Spoilt("looks at other files", "cell", "sizes", {"../../../plan.json": 3}),
    "cell sizes a word": Spoilt("has no items", "cell", "sizes", "x"),
    "cell parameters a word": Spoilt("a whole number", "cell", "parameters", "many"),
    "cell parameters huge": Spoilt("more than a column holds", "cell", "parameters", 10**40),
    "cell macs NaN": Spoilt("a whole number", "cell", "macs", float("nan")),
    "cell seconds a word": Spoilt("a number", "cell", "train_seconds", "long"),
    "cell diagnostics a list": Spoilt("looked up by name", "cell", "diagnostics", [1]),
    "cell diagnostic a word": Spoilt("compared with numbers", "cell", "diagnostics", {"unexplained": "all"}),
    "cell code a word": Spoilt("has no items", "cell", "code", "x"),
    "cell made_with a number": Spoilt("a list of texts", "cell", "made_with", 3),
    "cell made_with terminal": Spoilt("shown in tables", "cell", "made_with", [TERMINAL]),
    # Markers of tests.
    "score marker empty object": Spoilt("lacks all", "score", spoil=overwritten(b"{}")),
    "score averages a list": Spoilt("looked up", "score", "averages", []),
    "score average a number": Spoilt("an object", "score", "averages/psnr", 30),
    "score average unknown key": Spoilt("from a later version", "score", "averages/psnr/median", 1),
    "score mean a word": Spoilt("a number", "score", "averages/psnr/mean", "best"),
    "score mean NaN": Spoilt("JSON that is none", "score", "averages/psnr/mean", float("nan")),
    "score mean huge": Spoilt("beyond float", "score", "averages/psnr/mean", 10**400),
    "score n zero": Spoilt("divided by", "score", "averages/psnr/n", 0),
    "score n negative": Spoilt("under a root", "score", "averages/psnr/n", -4),
    "score n_images a word": Spoilt("a whole number", "score", "n_images", "x"),
    "score weights a list": Spoilt("compared", "score", "weights", [1]),
    "score fitted an object": Spoilt("shown as text", "score", "fitted", {"a": 1}),
    "score latency null": Spoilt("a number", "score", "latency_ms", None),
    "score code a list": Spoilt("has no items", "score", "code", [1]),
    "score protocol a word": Spoilt("looked up", "score", "protocol", "x"),
    # Files that markers stand for.
    "weights of a terabyte": Spoilt("a header that lies about its size", "weights", spoil=terabyte),
    "weights cut": Spoilt("a copy that broke off", "weights", spoil=cut),
    "values no parquet": Spoilt("another format", "values", spoil=overwritten(b"PAR1" + b"\0" * 40)),
    "values a folder": Spoilt("a name that is no file", "values", spoil=folder_instead),
    "samples of a terabyte": Spoilt("a header that lies about its size", "samples", spoil=terabyte),
    "samples a loop": Spoilt("a link that leads to itself", "samples", spoil=linked_to_itself),
    # What lies beside them.
    "environment a list": Spoilt("no object", "environment", spoil=overwritten(b"[]")),
    "environment libraries a word": Spoilt("looked up", "environment", "libraries", "x"),
    "environment plugins a word": Spoilt("iterated over by letters", "environment", "plugins", "ab"),
    "environment plugin unknown key": Spoilt("from a later version", "environment", "plugins", [{"nom": "x"}]),
    "images a word": Spoilt("names of images", "images", spoil=overwritten(b'{"test": 5}')),
    "standings a word": Spoilt("counted", "standings", "standings", "x"),
    "standings too few": Spoilt("one for each row", "standings", "standings", []),
    "standing unknown key": Spoilt("from a later version", "standings", "standings/0", {"rank": 1}),
    "failure a list": Spoilt("looked up by test", "failure", spoil=overwritten(b'{"error": 5, "tests": [1]}')),
}  # fmt: skip


def place(root: Path, what: str) -> Path:
    """The file that is spoilt."""
    if what in ("plan", "environment", "images"):
        return root / f"{what}.json"
    if what == "standings":
        return root / "tables" / "standings.json"
    if what == "failure":
        cell = next(iter((root / "cells").glob("*")))
        return cell / "error.json"
    patterns = {"cell": "cells/*/cell.json", "score": "cells/*/scores/*.json", "weights": "cells/*/weights.safetensors"}
    patterns |= {"values": "cells/*/scores/*.parquet", "samples": "cells/*/scores/*.samples.safetensors"}
    return min(root.glob(patterns[what]))


def spoil(root: Path, spoilt: Spoilt) -> None:
    """Spoil a results folder."""
    path = place(root, spoilt.what)
    if spoilt.spoil:
        spoilt.spoil(path)
        return
    whole = json.loads(path.read_text())
    *keys, last = (int(key) if key.isdigit() else key for key in spoilt.path.split("/"))
    part = whole
    for key in keys:
        part = part[key]
    if spoilt.value is ...:
        del part[last]
    else:
        part[last] = spoilt.value
    path.write_text(json.dumps(whole), encoding="utf-8")
