"""Consoles, and how errors end a command: one line each, exit code 2."""

import json
import math
import os
import sys
from decimal import Decimal
from enum import IntEnum
from pathlib import Path
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


def plain(*, stderr: bool = False) -> bool:
    """Whether output is to have no style: it is piped, or ``NO_COLOR`` is set (no-color.org)."""
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return not terminal or bool(os.environ.get("NO_COLOR"))


def console(*, stderr: bool = False) -> Console:
    """A console without control codes in what is piped, and without style under ``NO_COLOR``.

    Text is text: brackets of paths, names and passages are no markup unless a print says so, and
    what is piped has no line broken, which would part a path.
    Rich alone would keep bold and italic under ``NO_COLOR``, and colour a pipe under
    ``FORCE_COLOR``. A terminal's live line moves the cursor in either case.
    """
    terminal = (sys.stderr if stderr else sys.stdout).isatty()
    return Console(
        stderr=stderr,
        highlight=False,
        markup=False,
        soft_wrap=not terminal,
        width=None if terminal else PIPED_WIDTH,
        force_terminal=None if terminal else False,
        color_system=None if plain(stderr=stderr) else "auto",
    )


def plain_help() -> None:
    """Print typer's help as plainly as all else is printed."""
    if plain():
        from typer import rich_utils

        rich_utils.COLOR_SYSTEM = None


def print_json(value: Any) -> None:
    """A value for scripts, on standard output."""
    sys.stdout.write(json.dumps(json_value(value), indent=1, ensure_ascii=False) + "\n")


def json_value(value: Any) -> Any:
    """A value that JSON has: no NaN and no infinity, and texts for dates and the like."""
    if isinstance(value, Decimal):  # what SQL takes 0.5 for
        return float(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, list | tuple):
        return [json_value(item) for item in value]
    if isinstance(value, dict):
        return {str(key): json_value(item) for key, item in value.items()}
    return value if isinstance(value, int | str | None) else str(value)


def end_with_error(message: str, *, code: int) -> NoReturn:
    """Print an error to standard error and leave."""
    for line in message.splitlines() or [""]:
        sys.stderr.write(f"error: {line}\n")
    sys.stderr.flush()
    raise SystemExit(code)


def no_access(error: BaseException) -> str | None:
    """What to say of a place that we may not read or write, as a store on a read-only mount."""
    import errno

    if not isinstance(error, OSError) or error.filename is None:
        return None
    if error.errno == errno.EROFS:
        return f"{error.filename}: {error.strerror}; expected a place that can be written"
    if error.errno not in (errno.EACCES, errno.EPERM):
        return None
    told = f"{error.filename}: {_denied(str(error.filename))} ({error.strerror})"
    return f"{told}; expected a place that this user may use"


def _denied(place: str) -> str:
    """What this user may not do with a file or folder, as far as that can be seen."""
    if "://" in place:
        return "cannot be reached"
    if _is_there(Path(place)):
        readable = os.access(place, os.R_OK)
        return "cannot be written" if readable else "cannot be read"
    above = next(folder for folder in Path(place).absolute().parents if _is_there(folder))
    what = "written" if os.access(above, os.X_OK) else "entered"
    return f"cannot be used, because the folder {above} cannot be {what}"


def _is_there(folder: Path) -> bool:
    try:
        return folder.exists()
    except OSError:
        return False


FULL = ("No space left on device", "Disk quota exceeded", "File too large")
"""What libraries that are not written in Python say of a full disk, a quota or a limit of size."""


def full_disk(error: BaseException) -> str | None:
    """What to say when a disk is full, if that is what went wrong."""
    import errno

    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            place = f" at {seen.filename}" if seen.filename else ""
            return f"disk full{place}: free some space and run the same command again to resume"
        if any(words in str(seen) for words in FULL):
            return "disk full: free some space and run the same command again to resume"
        seen = seen.__cause__ or seen.__context__
    return None
