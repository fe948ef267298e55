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

LOCK = ".lock"  # the system unlocks it when its holder ends; the empty file stays, or two could hold one name's locks
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
            until_the_end.enter_context(FileLock(root / LOCK, timeout=0))
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
        until_the_end.callback((root / HOLDER).unlink, missing_ok=True)
        yield ""


def _this_process() -> dict[str, Any]:
    since = datetime.now().astimezone().isoformat(sep=" ", timespec="seconds")
    return {"host": platform.node(), "process": os.getpid(), "since": since}


def _holder(root: Path) -> str:
    """Who holds a lock, in words."""
    found = read_json(root / HOLDER)
    if found is None:  # it has only just begun, or had no room to say so
        return "another process runs a spec there"
    return f"process {found.get('process')} on {found.get('host')} has run a spec there since {found.get('since')}"
