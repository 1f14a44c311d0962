"""One holder at a time, with real processes that are killed and stopped."""

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from strop.artifacts import durable, leases
from strop.artifacts.backends.location import StorePath, store_path
from strop.artifacts.errors import Busy, Conflict
from strop.artifacts.leases import Holder, Lease
from tests.artifacts.conftest import own_process_ids
from tests.artifacts.test_durable import in_threads

EXPIRIES = {"folder": 0.6, "s3": 3.0}
"""Seconds instead of a minute: a live holder beats six times in it. Buckets tell whole seconds."""

HOLD = """
import sys
from strop.artifacts import leases
from strop.artifacts.backends.location import store_path
from strop.artifacts.errors import Conflict

leases.EXPIRY_SECONDS, leases.HEARTBEAT_SECONDS = {expiry}, {expiry} / 6
with leases.Lease(store_path(sys.argv[1]), what="run demo") as lease:
    print("held", flush=True)
    for line in sys.stdin:
        try:
            lease.check()
            print("may write", flush=True)
        except Conflict as error:
            print(error, flush=True)
"""


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.slow)])
def place(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> StorePath:
    """Where a lease is kept."""
    monkeypatch.setattr(leases, "EXPIRY_SECONDS", EXPIRIES[request.param])
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", EXPIRIES[request.param] / 6)
    if request.param == "folder":
        return tmp_path
    return store_path(f"{request.getfixturevalue('bucket')}/lease")


@contextmanager
def holder(place: StorePath, *within: str) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lease, and says on each line whether it may write."""
    script = HOLD.format(expiry=leases.EXPIRY_SECONDS)
    command = [*within, sys.executable, "-c", script, str(place)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def ask(process: subprocess.Popen[str]) -> str:
    process.stdin.write("write\n")
    process.stdin.flush()
    return process.stdout.readline().strip()


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def test_a_holder_may_write_and_gives_the_lease_back(place: StorePath) -> None:
    with Lease(place, what="run demo") as lease:
        lease.check()
    with Lease(place, what="run demo") as lease:
        lease.check()


def test_who_gave_the_lease_back_may_not_write(place: StorePath) -> None:
    with Lease(place, what="run demo") as lease:
        pass
    with pytest.raises(Conflict, match="run demo: its lease was given back"):
        lease.check()


def test_a_second_live_holder_is_refused_with_the_pid_of_the_first(place: StorePath) -> None:
    with holder(place) as process:
        time.sleep(
            1.5 * leases.EXPIRY_SECONDS
        )  # the heartbeat keeps the lease past its first expiry
        with (
            pytest.raises(Busy, match=rf"run demo: process {process.pid} on .* wait for it, or"),
            Lease(place, what="run demo"),
        ):
            pass
        assert ask(process) == "may write"


FAULTS = [
    OSError(errno.ESTALE, "Stale file handle"),
    PermissionError("no access now"),
    Conflict("another write was first"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_fault_that_passes_ends_no_heartbeat(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    monkeypatch.setattr(leases, "HEARTBEAT_SECONDS", 0.01)
    renew, beats = durable.renew, []

    def faulty(path: StorePath) -> None:
        beats.append(path)
        if len(beats) == 1:
            raise fault
        renew(path)

    monkeypatch.setattr(durable, "renew", faulty)
    with Lease(tmp_path, what="run demo") as lease:
        wait_until(lambda: len(beats) > 2)
        lease.check()


def test_the_lease_of_a_killed_process_is_free_at_once(
    place: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "EXPIRY_SECONDS", 3600.0)
    with holder(place) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with Lease(place, what="run demo") as lease:
            lease.check()


def test_a_killed_process_that_nobody_reaped_holds_nothing(
    place: StorePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a container without an init process the dead stay in the process table."""
    monkeypatch.setattr(leases, "EXPIRY_SECONDS", 3600.0)
    with holder(place) as process:
        process.send_signal(signal.SIGKILL)
        wait_until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
        with Lease(place, what="run demo") as lease:
            lease.check()


def test_a_holder_that_was_stopped_past_its_expiry_may_no_longer_write(place: StorePath) -> None:
    with holder(place) as process:
        process.send_signal(signal.SIGSTOP)
        with (
            pytest.raises(Busy, match=f"process {process.pid}"),
            Lease(place, what="run demo"),
        ):
            pass
        time.sleep(leases.EXPIRY_SECONDS + 1.2)
        with Lease(place, what="run demo") as lease:
            process.send_signal(signal.SIGCONT)
            assert ask(process) == "run demo: another process has taken over; this one stops"
            lease.check()
        # the one that came back ends without giving back what is not its own any more
        process.stdin.close()
        process.wait()
        assert sorted(path.name for path in place.glob("*.released")) == ["00000002.released"]


def test_of_many_takers_one_gets_it(place: StorePath) -> None:
    held, refused, done = [], [], threading.Event()

    def take(number: int) -> None:
        try:
            with Lease(place, what="run demo") as lease:
                held.append(number)
                done.wait(10)
                lease.check()
        except Busy:
            refused.append(number)
            if len(refused) == 5:
                done.set()

    in_threads(6, take)
    assert len(held) == 1
    assert len(refused) == 5


def test_guarded_writes_of_one_process_take_turns(place: StorePath) -> None:
    total = 0

    def add(number: int) -> None:
        nonlocal total
        with lease.guard():
            seen = total
            time.sleep(0.01)
            total = seen + 1

    with Lease(place, what="run demo") as lease:
        in_threads(8, add)
    assert total == 8


def test_setting_the_clock_makes_nobody_another_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux derives start times by the clock from a boot time that moves when the clock is set."""
    with holder(tmp_path) as process:
        before = psutil.boot_time()
        monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: before + 3600)
        with (
            pytest.raises(Busy, match=f"process {process.pid}"),
            Lease(tmp_path, what="run demo"),
        ):
            pass


def test_a_process_of_an_earlier_start_of_this_host_is_gone() -> None:
    """Its id, and the seconds from boot to its start, may be those of another one by now."""
    now = leases.this_process()
    assert now.lives()
    assert not replace(now, host=f"{socket.gethostname()} another-start 1").lives()


def test_another_host_is_known_by_its_heartbeat_alone() -> None:
    one = Holder("another host", 1, 0.0, "token")
    assert one.alive(leases.EXPIRY_SECONDS - 0.1)
    assert not one.alive(leases.EXPIRY_SECONDS)


@pytest.mark.parametrize("ahead", [-3600.0, 3600.0])
def test_hosts_that_share_a_folder_need_not_agree_on_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ahead: float
) -> None:
    """The folder's server tells when a heartbeat came, and what time it is now."""
    held = tmp_path / "00000001.json"
    held.write_text(json.dumps(vars(Holder("elsewhere", 1, 0.0, "token"))))
    true_time = time.time
    monkeypatch.setattr(time, "time", lambda: true_time() + ahead)
    with pytest.raises(Busy, match="elsewhere"), Lease(tmp_path, what="run demo"):
        pass
    os.utime(held, (true_time() - 61, true_time() - 61))
    with Lease(tmp_path, what="run demo") as lease:
        lease.check()


def test_a_container_of_the_same_name_is_not_asked_for_its_processes(tmp_path: Path) -> None:
    """Its process 1 is not the one here; only its heartbeat tells of it."""
    with holder(tmp_path, *own_process_ids()):
        words = f"run demo: process 1 on {socket.gethostname()} is working .*; if it is gone, wait"
        with (
            pytest.raises(Busy, match=words),
            Lease(tmp_path, what="run demo"),
        ):
            pass


@pytest.mark.parametrize(("host", "here"), [("{}", True), ("{} another-start 1", False)])
def test_records_of_older_versions_have_but_a_name(host: str, here: bool) -> None:
    assert Holder(host.format(socket.gethostname()), 1, 0.0, "token").here == here


def test_old_generations_are_cleared_away(place: StorePath) -> None:
    for _ in range(4):
        with Lease(place, what="run demo"):
            pass
    names = sorted(path.name for path in place.iterdir())
    assert names == [
        "00000003.json",
        "00000003.released",
        "00000004.json",
        "00000004.released",
    ]
