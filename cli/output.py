"""Consoles, and how errors end a command: one line each, exit code 2."""

import json
import sys
from enum import IntEnum
from typing import Any, NoReturn

from rich.console import Console

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
PIPED_WIDTH = 132


class Loudness(IntEnum):
    """How much a command tells while it works: nothing, a line a stage, or all of its figures."""

    QUIET = 0
    NORMAL = 1
    VERBOSE = 2


_loudness = [Loudness.NORMAL]


def set_loudness(wanted: Loudness) -> None:
    """Tell so much from now on, in this process."""
    _loudness[0] = wanted


def loudness() -> Loudness:
    """How much to tell."""
    return _loudness[0]


def console(*, stderr: bool = False) -> Console:
    """A console that never colours what is piped."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(stderr=stderr, highlight=False, width=None if terminal else PIPED_WIDTH)


def print_json(value: Any) -> None:
    """A value for scripts, on standard output."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False) + "\n")


def end_with_error(message: str, *, code: int) -> NoReturn:
    """Print an error to standard error and leave."""
    for line in message.splitlines() or [""]:
        sys.stderr.write(f"error: {line}\n")
    sys.stderr.flush()
    raise SystemExit(code)


def full_disk(error: BaseException) -> str | None:
    """What to say when a disk is full, if that is what went wrong."""
    import errno

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT):
            place = f" at {seen.filename}" if seen.filename else ""
            return f"disk full{place}: free some space and run the same command again to resume"
        if "No space left on device" in str(seen):
            return "disk full: free some space and run the same command again to resume"
        seen = seen.__cause__ or seen.__context__
    return None
