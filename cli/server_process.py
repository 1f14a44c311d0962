"""The managed Prefect server's process: Prefect's command, with a thread that collects garbage.

    python -m strop.cli.server_process server start --host HOST --port PORT

Prefect's server on SQLite can stand still for a minute, which is how long SQLite waits for a lock.
A statement that fails leaves its cursor in the traceback of an exception. Python's collector runs
in whatever thread allocates, mostly that of the event loop, frees the cursor, and waits for the
cursor's connection. Where that one waits in its own thread for another's transaction, which the
event loop should commit, all three wait. A collector in a thread of its own waits alone, since it
lets go of the GIL meanwhile.

And it answers 503 where a transaction reads, another one writes, and the first wants to write as
well, which SQLite refuses at once; Prefect's clients then sleep for two seconds. A transaction that
has the lock for writing from its begin waits for the other one instead, some milliseconds.

And a slot whose lease expires while the disk is full stays taken for good: the lease's file goes
first, and what fails after that is rolled back. Here the file goes last, so that it is tried again.
"""

import contextlib
import gc
import runpy
import threading
import time
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

    from sqlalchemy.ext.asyncio import AsyncSession, AsyncSessionTransaction

LOOK_SECONDS, FULL_SECONDS = 0.5, 60.0
YOUNG_OBJECTS = 700
"""How many new objects are worth a look, as in CPython."""


def collect_aside() -> None:
    """Leave this process's garbage to a thread that does nothing else, from now on."""
    gc.disable()
    threading.Thread(target=_collect, name="garbage", daemon=True).start()


def _collect() -> None:
    """Collect young garbage as it comes and all of it once a minute, if there is any to come.

    What is there at the first full collection, the server's code for the most part, is left out
    of later ones.
    """
    last, grown, frozen = time.monotonic(), False, False
    while True:
        time.sleep(LOOK_SECONDS)
        if gc.get_count()[0] > YOUNG_OBJECTS:
            gc.collect(1)
            grown = True
        if grown and time.monotonic() - last > FULL_SECONDS:
            gc.collect()
            if not frozen:
                gc.freeze()
            last, grown, frozen = time.monotonic(), False, True


def lock_first() -> None:
    """Let every transaction on SQLite take the write lock when it begins, from now on."""
    from prefect.server.database.configurations import AioSqliteConfiguration

    begin = AioSqliteConfiguration.begin_transaction

    def begin_locked(
        self: AioSqliteConfiguration, session: "AsyncSession", with_for_update: bool = True
    ) -> "AbstractAsyncContextManager[AsyncSessionTransaction]":
        return begin(self, session, with_for_update=True)

    AioSqliteConfiguration.begin_transaction = begin_locked  # type: ignore[assignment, method-assign]


def end_leases_last() -> None:
    """Let a lease's file go after all that may fail when its slot is freed, from now on."""
    from prefect.server.concurrency.lease_storage.filesystem import ConcurrencyLeaseStorage

    async def revoke_lease(self: ConcurrencyLeaseStorage, lease_id: "UUID") -> None:
        await self._remove_from_expiration_index(lease_id)
        self._lease_file_path(lease_id).unlink(missing_ok=True)

    ConcurrencyLeaseStorage.revoke_lease = revoke_lease  # type: ignore[method-assign]


def main() -> None:
    """Run Prefect's command with this one's arguments."""
    collect_aside()
    with contextlib.suppress(AttributeError, ImportError):  # a server that is slower is one too
        lock_first()
        end_leases_last()
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
