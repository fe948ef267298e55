"""Signals that ask a program to end: Ctrl-C, and what job schedulers, shells and closed terminals send."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

ENDING = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
FROM_TERMINALS = {number for number in ENDING if number != signal.SIGTERM}


class Interrupted(KeyboardInterrupt):
    """A program was asked to end. number: by which signal."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


def heed() -> None:
    """Let every signal that asks for the end raise Interrupted, but for those that are ignored, as under nohup."""
    for number in ENDING:
        if signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, _interrupt)


def ignore() -> None:
    """Ignore them from now on."""
    for number in ENDING:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def held() -> Iterator[bool]:
    """Hold them back until the end of this block; gives whether that can be done: in the main thread alone."""
    if threading.current_thread() is not threading.main_thread():
        yield False
        return
    heeded = {number: handler for number in ENDING if callable(handler := signal.getsignal(number))}
    caught: list[tuple[int, FrameType | None]] = []
    for number in heeded:
        signal.signal(number, lambda number, frame: caught.append((number, frame)))
    try:
        yield signal.SIGINT in heeded
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)
        if caught:
            number, frame = caught[0]
            heeded[number](number, frame)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise Interrupted(number)
