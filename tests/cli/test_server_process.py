"""The process of the managed server: its event loop never waits for garbage, and it answers."""

import subprocess
import sys
from pathlib import Path

import pytest

BUSY_SECONDS, WORK_SECONDS = 4, 1.5

SCENARIO = f"""
import asyncio, contextlib, sys, time
import aiosqlite

if sys.argv[2] == "aside":
    from strop.cli.server_process import collect_aside
    collect_aside()

class Knot:
    pass

async def left_behind(connection):
    '''A cursor that only the collector can free, of a statement that has not ended.'''
    knot = Knot()
    knot.itself = knot
    knot.cursor = await connection.execute("SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3")

async def main():
    first, second = [await aiosqlite.connect(sys.argv[1], isolation_level=None) for _ in range(2)]
    await first.execute("PRAGMA journal_mode = WAL")
    await first.execute("CREATE TABLE numbers (number)")
    await left_behind(second)
    await second.execute("PRAGMA busy_timeout = {1000 * BUSY_SECONDS}")
    await first.execute("BEGIN IMMEDIATE")
    waiting = asyncio.create_task(second.execute("INSERT INTO numbers VALUES (1)"))
    await asyncio.sleep(0.2)
    start, longest = time.monotonic(), 0.0
    while time.monotonic() - start < {WORK_SECONDS}:
        began = time.monotonic()
        lists = [[] for _ in range(5000)]
        await asyncio.sleep(0.01)
        longest = max(longest, time.monotonic() - began)
    await first.rollback()
    with contextlib.suppress(aiosqlite.OperationalError):
        await waiting
    await first.close()
    await second.close()
    print(longest)

asyncio.run(main())
"""


@pytest.mark.parametrize("collector", ["aside", "of CPython"])
def test_an_event_loop_does_not_wait_for_a_lost_cursor(tmp_path: Path, collector: str) -> None:
    command = [sys.executable, "-c", SCENARIO, str(tmp_path / "numbers.db"), collector]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    stood_still = float(done.stdout) > BUSY_SECONDS / 2
    assert stood_still == (collector != "aside"), "or the thread is not needed any more"


TWO_WRITERS = """
import asyncio, sys
import sqlalchemy as sa
from prefect.server.database.configurations import AioSqliteConfiguration

if sys.argv[2] == "first":
    from strop.cli.server_process import lock_first
    lock_first()

async def main():
    database = AioSqliteConfiguration(f"sqlite+aiosqlite:///{sys.argv[1]}")
    engine = await database.engine()
    async with engine.begin() as connection:
        await connection.execute(sa.text("CREATE TABLE numbers (number)"))
    read = asyncio.Event()

    async def add(number, *, late):
        if not late:
            await read.wait()
        async with await database.session(engine) as session:
            async with database.begin_transaction(session):
                if late:
                    await session.execute(sa.text("SELECT number FROM numbers"))
                    read.set()
                    await asyncio.sleep(0.3)
                await session.execute(sa.text(f"INSERT INTO numbers VALUES ({number})"))

    await asyncio.gather(add(1, late=True), add(2, late=False))
    async with engine.connect() as connection:
        print(*(await connection.execute(sa.text("SELECT number FROM numbers"))).scalars())

asyncio.run(main())
"""


@pytest.mark.parametrize("locked", ["first", "late"])
def test_who_reads_before_it_writes_is_not_refused(tmp_path: Path, locked: str) -> None:
    command = [sys.executable, "-c", TWO_WRITERS, str(tmp_path / "numbers.db"), locked]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    if locked == "first":
        assert done.returncode == 0, done.stderr
        assert done.stdout.split() == ["1", "2"]
    else:
        assert "database is locked" in done.stderr, "or it need not lock first any more"


LEASES = """
import asyncio, sys
from datetime import timedelta
from pathlib import Path
from uuid import uuid4
from prefect.server.concurrency.lease_storage.filesystem import ConcurrencyLeaseStorage

if sys.argv[2] == "last":
    from strop.cli.server_process import end_leases_last
    end_leases_last()

class FullDisk(ConcurrencyLeaseStorage):
    def _save_expiration_index(self, index):
        if not index:
            raise OSError("No space left on device")
        super()._save_expiration_index(index)

async def main():
    leases = FullDisk(storage_path=Path(sys.argv[1]))
    lease = await leases.create_lease([uuid4()], timedelta(seconds=-1))
    try:
        await leases.revoke_lease(lease.id)
    except OSError:
        pass
    print(len(await leases.read_expired_lease_ids()), await leases.read_lease(lease.id) is not None)

asyncio.run(main())
"""


@pytest.mark.parametrize("file", ["last", "first, as in Prefect"])
def test_a_lease_that_cannot_be_ended_is_there_to_be_ended_again(tmp_path: Path, file: str) -> None:
    """Without its lease nobody would free a slot whose transaction was rolled back."""
    command = [sys.executable, "-c", LEASES, str(tmp_path), file]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    kept = done.stdout.split()[-1] == "True"
    assert kept == (file == "last"), "or Prefect does so by itself"
