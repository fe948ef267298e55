"""Download a file from the first mirror that works: resumed, verified, and quick to fail when offline."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from filelock import FileLock

from bench.core.errors import DataError
from bench.core.lazy import requests, urllib3
from bench.datasets.cache import writable

if TYPE_CHECKING:
    from requests import Response

Progress = Callable[[int, int, str], None]
CHUNK = 16_384


@dataclass(frozen=True)
class Archive:
    """A file that several servers offer, byte for byte the same.

    size: in bytes. md5, sha256: hexadecimal. mirrors: URLs in the order to try them.
    """

    name: str
    size: int
    md5: str
    sha256: str
    mirrors: tuple[str, ...]


@dataclass(frozen=True)
class Patience:
    """How long to wait, in seconds.

    answer: for the first bytes, all mirrors together.
    stall: for further bytes from one mirror.
    retries: times a connection that broke after some bytes is resumed.
    """

    answer: float = 18.0
    stall: float = 15.0
    retries: int = 3


PATIENCE = Patience()


class Refused(Exception):
    """A mirror sends something else than the file."""


def fault(path: Path, archive: Archive) -> str:
    """What is wrong with a copy of the archive; empty if size, MD5 and SHA-256 are right."""
    try:
        size = path.stat().st_size
        if size != archive.size:
            return f"{size:,} bytes instead of {archive.size:,}"
        for kind, expected in (("sha256", archive.sha256), ("md5", archive.md5)):
            with path.open("rb") as file:
                found = hashlib.file_digest(file, kind).hexdigest()
            if found != expected:
                return f"wrong checksum ({kind} {found})"
    except FileNotFoundError:
        return "no such file"
    except OSError as error:
        return f"can't be read: {error.strerror}"
    return ""


def download(archive: Archive, folder: Path, progress: Progress | None = None, patience: Patience = PATIENCE) -> Path:
    """The verified archive in `folder`, downloaded if it isn't there.

    progress: called with bytes done, bytes in all and the server's name.
    A partial download is kept, and resumed from whichever mirror answers. NOISE_BENCH_OFFLINE=1 forbids downloading.
    Raises DataError naming every mirror and why it failed, within `patience.answer` seconds where none answers.
    """
    target, part = folder / archive.name, folder / f"{archive.name}.part"
    if not fault(target, archive):
        return target
    _refuse_offline(archive, folder)
    failures = []
    with writable(folder), FileLock(f"{part}.lock"):
        if not fault(target, archive) or _finished(part, target, archive):
            return target
        for url in archive.mirrors:
            reason = _from_mirror(url, archive, part, progress or _silent, patience)
            if not reason:
                part.replace(target)
                return target
            failures.append(f"  {url}: {reason}")
    if _size(part):
        failures.append(f"  {_size(part):,} of {archive.size:,} bytes are kept; the next attempt resumes there.")
    raise _unavailable(archive, failures)


def answering(archive: Archive, folder: Path, patience: Patience = PATIENCE) -> str:
    """The server that `download` would ask for the archive; empty where it is in `folder`. Writes nothing.

    All mirrors are asked at once, for their first bytes. Raises DataError where `download` would.
    """
    if not fault(folder / archive.name, archive):
        return ""
    _refuse_offline(archive, folder)
    with ThreadPoolExecutor(len(archive.mirrors)) as pool:
        reasons = dict(
            zip(archive.mirrors, pool.map(lambda url: _probe(url, archive, patience), archive.mirrors), strict=True)
        )
    for url, reason in reasons.items():
        if not reason:
            return urlsplit(url).netloc
    raise _unavailable(archive, [f"  {url}: {reason}" for url, reason in reasons.items()])


def _refuse_offline(archive: Archive, folder: Path) -> None:
    if os.environ.get("NOISE_BENCH_OFFLINE", "0") not in ("", "0"):
        raise DataError(f"{archive.name} is not in {folder}, and NOISE_BENCH_OFFLINE forbids downloading it")


def _unavailable(archive: Archive, failures: Iterable[str]) -> DataError:
    return DataError("\n".join([f"{archive.name} can't be downloaded:", *failures]))


def _probe(url: str, archive: Archive, patience: Patience) -> str:
    """Why a mirror would not send the archive, or an empty string."""
    try:
        response, _ = _answer(url, 0, patience.answer / len(archive.mirrors), patience.stall)
        with response:
            _check(response, 0, archive)
    except (Refused, TimeoutError) as error:
        return str(error)
    except requests.RequestException as error:
        return _text(_cause(error), patience)
    return ""


def _finished(part: Path, target: Path, archive: Archive) -> bool:
    """Whether a part from an earlier attempt was the whole archive; one that is damaged is removed."""
    if _size(part) < archive.size:
        return False
    if fault(part, archive):
        part.unlink()
        return False
    part.replace(target)
    return True


def _from_mirror(url: str, archive: Archive, part: Path, progress: Progress, patience: Patience) -> str:
    """Complete the part from one mirror; returns why that failed, or an empty string."""
    reason = ""
    for _ in range(1 + patience.retries):
        start = _size(part)
        stalled = False
        try:
            _append(url, archive, part, progress, patience)
            reason = f"ended after {_size(part):,} of {archive.size:,} bytes"
        except (Refused, TimeoutError) as error:
            reason = str(error)
        except requests.RequestException as error:
            stalled = isinstance(_cause(error), urllib3.exceptions.ReadTimeoutError)
            reason = _text(_cause(error), patience)
        if _size(part) == archive.size:
            if not (reason := fault(part, archive)):
                return ""
            part.unlink()
            if not start:
                return reason
        elif stalled or _size(part) == start:
            return reason
    return reason


def _append(url: str, archive: Archive, part: Path, progress: Progress, patience: Patience) -> None:
    """Append the missing bytes of the archive until the connection ends."""
    done = _size(part)
    response, chunks = _answer(url, done, patience.answer / len(archive.mirrors), patience.stall)
    with response, part.open("ab") as file:
        skip = _check(response, done, archive)
        for chunk in chunks:
            new = chunk[skip:]
            skip -= len(chunk) - len(new)
            done += len(new)
            if done > archive.size:
                raise Refused(f"sends more than {archive.size:,} bytes")
            file.write(new)
            progress(done, archive.size, urlsplit(url).netloc)


def _answer(url: str, start: int, wait: float, stall: float) -> "tuple[Response, Iterator[bytes]]":
    """The response and its body, once the first bytes have arrived. Raises TimeoutError."""
    future: Future[tuple[Response, Iterator[bytes]]] = Future()
    headers = {"Accept-Encoding": "identity", "User-Agent": "noise-bench"}
    if start:
        headers["Range"] = f"bytes={start}-"

    def ask() -> None:
        try:
            response = requests.get(url, headers=headers, stream=True, timeout=(wait, stall))
            chunks = response.iter_content(CHUNK)
            future.set_result((response, chain([next(chunks, b"")], chunks)))
        except requests.RequestException as error:
            future.set_exception(error)
        except (OSError, ValueError) as error:  # an ill-formed URL, an unreadable certificate store
            future.set_exception(Refused(str(error)))

    # No socket timeout covers a name server that hangs, but a thread can be abandoned.
    threading.Thread(target=ask, daemon=True).start()
    try:
        return future.result(wait)
    except TimeoutError:
        raise TimeoutError(f"no answer within {wait:g} s") from None


def _check(response: "Response", start: int, archive: Archive) -> int:
    """How many bytes at the beginning of the body to skip. Raises Refused for a body that can't be the archive's."""
    sent = response.headers
    if response.status_code == 206:
        if sent.get("Content-Range", "") != f"bytes {start}-{archive.size - 1}/{archive.size}":
            raise Refused(f"sends another range than requested: {sent.get('Content-Range')}")
        return 0
    if response.status_code != 200:
        raise Refused(f"HTTP {response.status_code} {response.reason}")
    length = sent.get("Content-Length", "")
    if length.isdigit() and int(length) != archive.size:
        raise Refused(f"sends {int(length):,} bytes instead of {archive.size:,}")
    if sent.get("Content-Type", "").startswith("text/html"):
        raise Refused("sends a web page instead of the file")
    return start  # the server ignored the range and sends all


def _cause(error: BaseException) -> BaseException:
    """The innermost of nested errors."""
    for inner in (getattr(error, "reason", None), *error.args):
        if isinstance(inner, BaseException):
            return _cause(inner)
    return error


def _text(error: BaseException, patience: Patience) -> str:
    if isinstance(error, urllib3.exceptions.ReadTimeoutError):
        return f"no bytes for {patience.stall:g} s"
    return str(error).rsplit(": ", 1)[-1] or type(error).__name__


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _silent(done: int, total: int, source: str) -> None:
    pass
