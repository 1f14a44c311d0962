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

    Exits with 128 + the signal's number, as shells expect (130 for Ctrl-C), also when the library
    that the signal came upon made an error of its own of it.
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
    except (Exception, KeyboardInterrupt) as error:
        behind = signal_behind(error)
        if behind is None:
            raise
        sys.stderr.write(f"\n{RESUME}\n")
        sys.stderr.flush()
        raise SystemExit(128 + (received or [behind])[0]) from None


def signal_behind(error: BaseException) -> int | None:
    """The number of the signal that an error came of; None where it came of none.

    Code in Rust, such as pydantic's, turns whatever is raised in the midst of it into its error.
    Prefect raises a `TerminationSignal` where SIGTERM ends a flow.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt):
            return int(signal.SIGINT)
        if type(seen).__name__ == "TerminationSignal":
            return int(getattr(seen, "signal", signal.SIGTERM))
        seen = seen.__cause__
    return None
