"""Where multiprocessing puts the sockets of a run."""

import os
import shutil
import tempfile
from functools import cache
from multiprocessing import util
from pathlib import Path

PREFIX = "noise-bench-"  # of the folder's name, before the number of its process
LONGEST_TMPDIR = 40  # characters; the name of a socket, two folders further in, may have 107 in all
AFTER_MULTIPROCESSING = -101  # when its folder is removed at the end of a process; multiprocessing's own goes at -100


@cache
def place() -> None:
    """Give multiprocessing's sockets a folder named after this process, and remove those of runs that were killed.

    It lies in /tmp where the folder for temporary files has too long a name.
    """
    home = tempfile.gettempdir()
    if len(home) > LONGEST_TMPDIR and os.access("/tmp", os.W_OK):
        home = "/tmp"
    for left in Path(home).glob(f"{PREFIX}*"):
        owner = left.name.removeprefix(PREFIX).partition("-")[0]
        if owner.isdigit() and not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)  # another user's stays
    usual, tempfile.tempdir = tempfile.tempdir, tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir=home)
    try:
        util.get_temp_dir()  # chosen once and for all
        util.Finalize(None, shutil.rmtree, (tempfile.tempdir, True), exitpriority=AFTER_MULTIPROCESSING)
    finally:
        tempfile.tempdir = usual
