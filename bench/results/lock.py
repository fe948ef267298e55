"""One writer per results folder: who runs a spec into it holds its lock until it ends, however it ends."""

import contextlib
import errno
import os
import platform
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from bench.core.errors import BenchError
from bench.results.files import NotWritable, as_json, read_json, write

LOCK = ".lock"  # the system unlocks it when its holder ends
HOLDER = ".running.json"  # who holds it
NO_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP)


@contextlib.contextmanager
def held(root: Path) -> Iterator[str]:
    """Hold the lock of a results folder inside this block; gives what is to be said of it, mostly nothing.

    A folder that can't be written to needs no lock.
    Raises BenchError, which names the holder, where another process has it.
    """
    with contextlib.ExitStack() as until_the_end:
        try:
            root.mkdir(parents=True, exist_ok=True)
            _take(root / LOCK, until_the_end)
        except Timeout:
            raise BenchError(
                f"{root} is in use: {_holder(root)}. Wait until it ends, end it, or name another folder with --results"
            ) from None
        except (OSError, NotImplementedError) as error:
            locks = isinstance(error, OSError) and error.errno not in NO_LOCKS
            yield (
                "" if locks else f"{root} lies on a drive without locks: nothing keeps a second run from writing there"
            )
            return
        with contextlib.suppress(NotWritable):  # no room, which the run will say itself
            write(root / HOLDER, as_json(_this_process()), lasting=False)
        until_the_end.callback(_remove, root / LOCK)
        until_the_end.callback(_remove, root / HOLDER)
        yield ""


def _take(path: Path, until: contextlib.ExitStack) -> None:
    """Take a lock until the end of a block. Raises Timeout where another process has it."""
    while True:
        with contextlib.ExitStack() as taken:
            taken.enter_context(FileLock(path, timeout=0))
            if path.exists():  # or its last holder has removed what this one opened, and a third could lock a new file
                until.push(taken.pop_all())
                return


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):  # elsewhere than on Unix no locked file can be removed
        path.unlink()


def _this_process() -> dict[str, Any]:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return {"host": platform.node(), "process": os.getpid(), "since": since}


def _holder(root: Path) -> str:
    """Who holds a lock, in words."""
    found = read_json(root / HOLDER)
    if found is None:  # it has only just begun, or had no room to say so
        return "another process runs a spec there"
    return f"process {found.get('process')} on {found.get('host')} has run a spec there since {found.get('since')}"
