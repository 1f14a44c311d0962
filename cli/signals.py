"""Ctrl-C, SIGTERM and SIGHUP: the run ends cleanly, and one line says how to resume."""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from types import FrameType

RESUME = "interrupted; the same command resumes from the last finished stage"


@contextlib.contextmanager
def stoppable() -> Iterator[None]:
    """Turn the first signal into a KeyboardInterrupt that Prefect sees; the second ends at once.

    Exits with 128 + the signal's number, as shells expect (130 for Ctrl-C).
    """
    received: list[int] = []

    def stop(number: int, frame: FrameType | None) -> None:
        if received:
            os._exit(128 + received[0])
        received.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, stop)
    try:
        yield
    except KeyboardInterrupt:
        sys.stderr.write(f"\n{RESUME}\n")
        sys.stderr.flush()
        raise SystemExit(128 + (received or [signal.SIGINT])[0]) from None
