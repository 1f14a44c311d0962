"""Which machine's server works in a state folder: a file that the server locks while it lives."""

import fcntl
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from strop.cli.server_probe import ServerUnavailable, one_line

ALIVE_FILE = "server.alive"
"""Names the server's host and process; the lock tells that it lives, wherever that is."""
LEAVING_SECONDS = 5.0
"""How long a process that is gone by its state may take to close its files: threads end last."""


@contextmanager
def held_alive(folder: Path) -> Iterator[IO[str]]:
    """The file, locked, for a server to inherit: the lock lasts as long as anybody has it open."""
    with (folder / ALIVE_FILE).open("w", encoding="utf-8") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
        alive.write(socket.gethostname())
        alive.flush()
        yield alive


def refuse_another_machines(folder: Path) -> None:
    """Raise ServerUnavailable where a server that is no process here works in this folder.

    A pid means nothing on another machine; two servers would break one database.
    """
    deadline = time.monotonic() + LEAVING_SECONDS
    while _is_held(folder):
        if time.monotonic() > deadline:
            where = one_line((folder / ALIVE_FILE).read_text(encoding="utf-8"))
            raise ServerUnavailable(
                f"the Prefect server of {folder} runs on {where}; end it there, or set STROP_STATE"
                " to a folder of this machine alone, or PREFECT_API_URL to a server that both can"
                " reach"
            )
        time.sleep(0.1)


def _is_held(folder: Path) -> bool:
    try:
        with (folder / ALIVE_FILE).open(encoding="utf-8") as alive:
            fcntl.flock(alive, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False
