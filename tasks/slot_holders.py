"""Which processes of this host hold slots of a concurrency limit: one small file each.

A lease on Prefect's server outlives a killed process by up to a minute. Whoever waits on the same
host sees in these files that the process is gone, and gives its slot back at once.
"""

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from strop.artifacts.leases import Holder, this_process


@dataclass(frozen=True)
class SlotHolder:
    """A process and the lease that it holds on a limit of a server."""

    api: str
    limit: str
    lease_id: str
    run: str
    process: Holder


def note(api: str, limit: str, lease_id: str, run: str) -> None:
    """Say that this process holds a lease; without a place to write, its lease just expires."""
    with contextlib.suppress(OSError):
        folder = _folder()
        folder.mkdir(exist_ok=True, mode=0o700)
        values = {"api": api, "limit": limit, "run": run, "process": vars(this_process())}
        new = folder / f"{lease_id}.new"
        new.write_text(json.dumps(values), encoding="utf-8")
        new.replace(folder / f"{lease_id}.json")


def forget(lease_id: str) -> None:
    """Say that nobody holds this lease any more."""
    with contextlib.suppress(OSError):
        (_folder() / f"{lease_id}.json").unlink(missing_ok=True)


def holders(api: str, limit: str) -> list[SlotHolder]:
    """Those who said that they hold the limit of this server, dead or alive."""
    found = []
    folder = _folder()
    if not folder.exists() or folder.stat().st_uid != os.getuid():
        return []  # a shared folder for temporary files may hold one that others made
    for path in sorted(folder.glob("*.json")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            values = json.loads(path.read_text(encoding="utf-8"))
            process = Holder(**values.pop("process"))
            found.append(SlotHolder(lease_id=path.stem, process=process, **values))
    return [holder for holder in found if (holder.api, holder.limit) == (api, limit)]


def _folder() -> Path:
    """A folder of this user and, where the system has such, of this boot."""
    runtime = os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()
    return Path(runtime) / f"strop-slots-{os.getuid()}"
