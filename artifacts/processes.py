"""Which process an id means: the one that bore it when it was written down, or a later one."""

import os
from pathlib import Path

import psutil

TOLERANCE_SECONDS = 5.0
"""What setting the clock may do to a start time that is told by the clock."""


def start_of(pid: int) -> float | None:
    """When a process started: seconds since the boot, or since 1970 where a system tells these.

    Linux derives the latter from a time of its boot that moves whenever the clock is set; so who
    keeps the former also keeps of which boot it speaks. None for a process that is gone, or only
    not reaped yet.
    """
    return next(iter(_starts(pid)), None)


def lives(pid: int, started: float) -> bool:
    """Whether the process of this id that started then is still there.

    ``started`` is what `start_of` said, or in older records the seconds since 1970.
    """
    return any(abs(found - started) < TOLERANCE_SECONDS for found in _starts(pid))


def _starts(pid: int) -> list[float]:
    """A process's start in every way in which it may have been written down."""
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return []
        since_boot = _since_boot(pid)
        by_clock = float(process.create_time())
    except psutil.Error:
        return []
    return [by_clock] if since_boot is None else [since_boot, by_clock]


def _since_boot(pid: int) -> float | None:
    """Seconds from Linux's boot to the process's start; None on other systems."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
        ticks = int(text.rpartition(")")[2].split()[19])  # the 22nd field; the 2nd may have spaces
    except (OSError, ValueError, IndexError):
        return None
    return ticks / os.sysconf("SC_CLK_TCK")
