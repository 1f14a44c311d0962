"""A process is known by its id together with its start."""

import os
import subprocess
import sys

import psutil
import pytest

from strop.artifacts.processes import lives, start_of


def test_a_process_lives_until_it_ends() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        started = start_of(process.pid)
        assert started is not None
        assert lives(process.pid, started)
        assert not lives(process.pid, started - 60)
        process.kill()
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)  # gone, and not reaped yet
        assert start_of(process.pid) is None
        assert not lives(process.pid, started)
    assert start_of(process.pid) is None


@pytest.mark.parametrize(("shift", "alive"), [(1.0, True), (-1.0, True), (3600.0, False)])
def test_records_of_older_versions_tell_the_start_by_the_clock(shift: float, alive: bool) -> None:
    """Within what setting the clock does."""
    assert lives(os.getpid(), psutil.Process().create_time() + shift) == alive


def test_setting_the_clock_does_not_move_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    started, before = start_of(os.getpid()), psutil.boot_time()
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: before + 3600)
    assert start_of(os.getpid()) == started
    assert lives(os.getpid(), started)
