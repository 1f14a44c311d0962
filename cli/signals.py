"""Ctrl-C, SIGTERM and SIGHUP: the run ends cleanly, and one line says how to resume."""

import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from types import FrameType

RESUME = "interrupted; the same command resumes from the last finished stage"
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_came: list[Callable[[], bool]] = []
"""What tells whether a signal came, while `stoppable` is entered."""


@contextlib.contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Turn the first signal into a KeyboardInterrupt that Prefect sees; the second ends at once.

    Exits with 128 + the signal's number, as shells expect (130 for Ctrl-C). Yields what tells
    whether a signal came: where pydantic is at work, it makes an error of its own of whatever a
    handler raises, from which nobody can tell. A signal that is ignored already stays so.
    """
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if received:
            os._exit(128 + received[0])
        received.append(number)
        raise KeyboardInterrupt

    for number in STOPPING:
        # Who started us may want it so: `nohup`, or a script's `&`.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, stop)
    with _arrivals() as arrived:
        _came.append(lambda: bool(received or arrived()))
        try:
            yield _came[-1]
        except KeyboardInterrupt:
            sys.stderr.write(f"\n{RESUME}\n")
            sys.stderr.flush()
            raise SystemExit(128 + (received or arrived() or [signal.SIGINT])[0]) from None
        finally:
            _came.pop()


def stop_if_signalled() -> None:
    """Raise KeyboardInterrupt when a signal came whose handler's exception was lost.

    Python drops what a handler raises while an object is being finalised.
    """
    if _came and _came[-1]():
        raise KeyboardInterrupt


@contextlib.contextmanager
def heeded(number: int) -> Iterator[None]:
    """What is started meanwhile heeds the signal, although we may have been told to ignore it."""
    before = signal.getsignal(number)
    if before is not signal.SIG_IGN:
        yield
        return
    signal.signal(number, signal.default_int_handler)  # a new program never inherits a handler
    try:
        yield
    finally:
        signal.signal(number, before)


@contextlib.contextmanager
def _arrivals() -> Iterator[Callable[[], list[int]]]:
    """Which of these signals have come, whoever handles them: Prefect does while a flow runs."""
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
        found: list[int] = []

        def arrived() -> list[int]:
            with contextlib.suppress(BlockingIOError):
                found.extend(number for number in reader.recv(4096) if number in STOPPING)
            return found

        try:
            yield arrived
        finally:
            signal.set_wakeup_fd(before)
