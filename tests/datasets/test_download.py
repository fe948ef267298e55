"""Fetching from mirrors, against a local HTTP server that misbehaves on demand."""

import hashlib
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from bench.core.errors import DataError
from bench.datasets.download import Archive, Patience, answering, download, fault

BODY = random.Random(0).randbytes(400_000)
QUICK = Patience(answer=3.0, stall=0.4)


@dataclass
class Server:
    """A server on this machine; what a path answers is a function of the handler and the position asked for."""

    address: str
    answers: dict[str, Callable[[BaseHTTPRequestHandler, int], None]] = field(default_factory=dict)
    asked: list[tuple[str, int]] = field(default_factory=list)

    def archive(self, *paths: str, **changes: Any) -> Archive:
        facts = {
            "size": len(BODY),
            "md5": hashlib.md5(BODY).hexdigest(),
            "sha256": hashlib.sha256(BODY).hexdigest(),
            "mirrors": tuple(path if "://" in path else f"{self.address}/{path}" for path in paths),
        }
        return Archive(name="file.bin", **{**facts, **changes})


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("NOISE_BENCH_OFFLINE", raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").rstrip("-"))
            path = self.path.lstrip("/")
            served.asked.append((path, start))
            served.answers[path](self, start)

        def log_message(self, *_: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    served = Server(f"http://127.0.0.1:{http.server_port}", {"good": good, "other": good})
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield served
    http.shutdown()
    http.server_close()
    thread.join()


def send(handler: BaseHTTPRequestHandler, status: int, length: int | None, **headers: str) -> None:
    handler.send_response(status)
    if length is not None:
        handler.send_header("Content-Length", str(length))
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()


def good(handler: BaseHTTPRequestHandler, start: int, body: bytes = BODY, until: int | None = None) -> None:
    """The file from `start`; the connection ends at `until`."""
    if start:
        send(handler, 206, len(body) - start, Content_Range=f"bytes {start}-{len(body) - 1}/{len(body)}")
    else:
        send(handler, 200, len(body))
    handler.wfile.write(body[start:until])


def without_ranges(handler: BaseHTTPRequestHandler, start: int) -> None:
    send(handler, 200, len(BODY))
    handler.wfile.write(BODY)


def test_full_download_reports_progress_and_leaves_only_the_archive(server: Server, tmp_path: Path) -> None:
    seen: list[tuple[int, int, str]] = []
    path = download(server.archive("good"), tmp_path, lambda *step: seen.append(step), QUICK)
    assert path.read_bytes() == BODY
    assert not (tmp_path / "file.bin.part").exists()
    done = [step[0] for step in seen]
    assert done == sorted(done) and done[-1] == len(BODY)
    assert {step[1:] for step in seen} == {(len(BODY), server.address.removeprefix("http://"))}
    assert download(server.archive("good"), tmp_path, None, QUICK) == path
    assert server.asked == [("good", 0)], "a verified archive is not fetched again"


def test_a_broken_connection_is_taken_up_where_it_ended(server: Server, tmp_path: Path) -> None:
    server.answers["flaky"] = lambda handler, start: good(handler, start, until=None if start else 150_000)
    assert download(server.archive("flaky", "other"), tmp_path, None, QUICK).read_bytes() == BODY
    assert [path for path, _ in server.asked] == ["flaky", "flaky"]
    assert 0 < server.asked[1][1] <= 150_000


def test_a_part_from_an_earlier_run_is_resumed(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(BODY[:123_456])
    assert download(server.archive("good"), tmp_path, None, QUICK).read_bytes() == BODY
    assert server.asked == [("good", 123_456)]


def test_a_server_that_ignores_ranges_loses_nothing(server: Server, tmp_path: Path) -> None:
    server.answers["plain"] = without_ranges
    (tmp_path / "file.bin.part").write_bytes(BODY[:123_456])
    seen: list[int] = []
    assert download(server.archive("plain"), tmp_path, lambda done, *_: seen.append(done), QUICK).read_bytes() == BODY
    assert min(seen) >= 123_456


def test_a_stalled_mirror_is_left_and_its_part_kept(server: Server, tmp_path: Path) -> None:
    release = threading.Event()

    def stall(handler: BaseHTTPRequestHandler, start: int) -> None:
        good(handler, start, until=200_000)
        handler.wfile.flush()
        release.wait(10)

    server.answers["stall"] = stall
    try:
        assert download(server.archive("stall", "good"), tmp_path, None, QUICK).read_bytes() == BODY
    finally:
        release.set()
    assert [path for path, _ in server.asked] == ["stall", "good"]
    assert server.asked[1][1] > 100_000


def test_wrong_bytes_from_one_mirror_lead_to_the_next(server: Server, tmp_path: Path) -> None:
    altered = BODY[:-1] + bytes([BODY[-1] ^ 1])
    server.answers["wrong"] = lambda handler, start: good(handler, start, altered)
    assert download(server.archive("wrong", "good"), tmp_path, None, QUICK).read_bytes() == BODY
    assert server.asked == [("wrong", 0), ("good", 0)], "a mirror's own wrong bytes are not fetched twice"
    with pytest.raises(DataError, match="wrong: wrong checksum"):
        download(server.archive("wrong"), tmp_path / "elsewhere", None, QUICK)
    assert not list((tmp_path / "elsewhere").glob("file.bin*[!k]")), "neither archive nor part is left"


@pytest.mark.parametrize("length", [50_000, len(BODY), len(BODY) + 5])
def test_a_damaged_part_is_found_out_and_fetched_anew(server: Server, tmp_path: Path, length: int) -> None:
    (tmp_path / "file.bin.part").write_bytes(b"\0" * length)
    assert download(server.archive("good"), tmp_path, None, QUICK).read_bytes() == BODY
    assert server.asked[-1] == ("good", 0)


def test_a_finished_part_needs_no_net(tmp_path: Path) -> None:
    (tmp_path / "file.bin.part").write_bytes(BODY)
    archive = Server("http://127.0.0.1:1").archive("none")
    assert download(archive, tmp_path, None, QUICK).read_bytes() == BODY


@pytest.mark.parametrize("broken", ["md5", "sha256"])
def test_both_checksums_count(tmp_path: Path, broken: str) -> None:
    (tmp_path / "file.bin").write_bytes(BODY)
    assert fault(tmp_path / "file.bin", Server("").archive()) == ""
    assert "wrong checksum" in fault(tmp_path / "file.bin", Server("").archive(**{broken: "0" * 8}))


def test_what_is_not_the_file_is_refused_before_it_is_fetched(server: Server, tmp_path: Path) -> None:
    page = b"<html>Log in</html>"

    def portal(handler: BaseHTTPRequestHandler, start: int) -> None:
        send(handler, 200, len(page), Content_Type="text/html")
        handler.wfile.write(page)

    def endless_page(handler: BaseHTTPRequestHandler, start: int) -> None:
        send(handler, 200, None, Content_Type="text/html; charset=utf-8")
        handler.wfile.write(page)

    def overlong(handler: BaseHTTPRequestHandler, start: int) -> None:
        send(handler, 200, None)
        handler.wfile.write(BODY + b"more")

    server.answers |= {"portal": portal, "page": endless_page, "long": overlong}
    server.answers["gone"] = lambda handler, start: send(handler, 404, 0)
    with pytest.raises(DataError) as caught:
        download(server.archive("portal", "page", "long", "gone"), tmp_path, None, QUICK)
    message = str(caught.value)
    assert "/portal: sends 19 bytes instead of 400,000" in message
    assert "/page: sends a web page instead of the file" in message
    assert "/long: sends more than 400,000 bytes" in message
    assert "/gone: HTTP 404" in message


def test_dead_mirrors_are_all_named_within_the_time_given(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    lookup = socket.getaddrinfo

    def hanging(host: str, *rest: Any, **options: Any) -> Any:
        if host == "hanging.test":
            release.wait(30)
        if host.endswith(".test"):
            raise socket.gaierror(-3, "Temporary failure in name resolution")
        return lookup(host, *rest, **options)

    def silence(handler: BaseHTTPRequestHandler, start: int) -> None:
        release.wait(30)

    def trickle(handler: BaseHTTPRequestHandler, start: int) -> None:
        send(handler, 200, len(BODY))
        release.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as closed:
        refusing = f"http://127.0.0.1:{closed.getsockname()[1]}/x"
    monkeypatch.setattr(socket, "getaddrinfo", hanging)
    server.answers |= {"silent": silence, "headers": trickle}
    names = ("http://hanging.test/x", "http://unknown.test/x", refusing, "silent", "headers")
    started = time.monotonic()
    try:
        with pytest.raises(DataError) as caught:
            download(server.archive(*names), tmp_path, None, Patience(answer=2.0))
    finally:
        release.set()
    assert time.monotonic() - started < 3.0
    message = str(caught.value)
    assert "hanging.test/x: no answer within 0.4 s" in message
    assert "unknown.test/x: Failed to resolve 'unknown.test' ([Errno -3] Temporary failure" in message
    assert re.search(re.escape(refusing) + ": .*Connection refused", message)
    assert "/silent: no answer" in message and "/headers: no answer" in message


def test_the_default_patience_answers_within_twenty_seconds() -> None:
    assert Patience().answer <= 19


def test_offline_refuses_at_once(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOISE_BENCH_OFFLINE", "1")
    with pytest.raises(DataError, match="NOISE_BENCH_OFFLINE"):
        download(server.archive("good"), tmp_path, None, QUICK)
    assert server.asked == []
    monkeypatch.setenv("NOISE_BENCH_OFFLINE", "0")
    assert download(server.archive("good"), tmp_path, None, QUICK).is_file()


def test_what_was_received_before_a_failure_is_kept_and_told(server: Server, tmp_path: Path) -> None:
    server.answers["cut"] = lambda handler, start: good(handler, start, until=150_000)
    with pytest.raises(DataError, match="bytes are kept"):
        download(server.archive("cut"), tmp_path, None, QUICK)
    kept = (tmp_path / "file.bin.part").read_bytes()
    assert kept and BODY.startswith(kept)


def test_two_downloads_at_once_fetch_it_once(server: Server, tmp_path: Path) -> None:
    def slow(handler: BaseHTTPRequestHandler, start: int) -> None:
        time.sleep(0.3)
        good(handler, start)

    server.answers["slow"] = slow
    threads = [
        threading.Thread(target=download, args=(server.archive("slow"), tmp_path, None, QUICK)) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "file.bin").read_bytes() == BODY
    assert server.asked == [("slow", 0)]


def test_a_folder_that_cannot_be_written_is_said(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="can't be written"):
        download(server.archive("good"), tmp_path / "file" / "folder", None, QUICK)


def test_which_mirror_would_be_asked_is_told_without_downloading(server: Server, tmp_path: Path) -> None:
    server.answers["gone"] = lambda handler, start: send(handler, 404, 0)
    folder = tmp_path / "downloads"
    assert answering(server.archive("gone", "good"), folder, QUICK) == server.address.removeprefix("http://")
    assert not folder.exists() and sorted(path for path, _ in server.asked) == ["gone", "good"]
    download(server.archive("good"), folder, None, QUICK)
    asked = len(server.asked)
    assert answering(server.archive("good"), folder, QUICK) == "" and len(server.asked) == asked


def test_where_no_mirror_would_do_the_reasons_are_those_of_a_download(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.answers |= {
        "gone": lambda handler, start: send(handler, 404, 0),
        "another": lambda handler, start: send(handler, 200, 7),
        "silent": lambda handler, start: time.sleep(1.5),
    }
    archive = server.archive("gone", "another", "silent", "http://127.0.0.1:1/x")
    started = time.monotonic()
    with pytest.raises(DataError) as found:
        answering(archive, tmp_path / "none", QUICK)
    assert time.monotonic() - started < QUICK.answer
    with pytest.raises(DataError) as expected:
        download(archive, tmp_path / "downloads", None, QUICK)
    assert str(found.value) == str(expected.value)
    monkeypatch.setenv("NOISE_BENCH_OFFLINE", "1")
    with pytest.raises(DataError, match="NOISE_BENCH_OFFLINE"):
        answering(archive, tmp_path / "none", QUICK)
