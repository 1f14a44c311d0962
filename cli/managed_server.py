"""The Prefect server that strop runs for itself: started once, found again, stopped on request.

It is bound to 127.0.0.1, keeps its database and log in the user's state folder (``STROP_STATE``
overrides it), and outlives the command that started it.
"""

import contextlib
import fcntl
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path

import platformdirs
import psutil

from strop.cli.server_alive import held_alive, refuse_another_machines
from strop.cli.server_port import PROCESS, RECORD_FILE, require_free
from strop.cli.server_probe import (
    HOST,
    ServerUnavailable,
    complaint,
    one_line,
    server_port,
)

LEASES = "prefect.server.concurrency.lease_storage.filesystem"

START_SECONDS = 60.0
STOP_SECONDS = 10.0

LOCK_FILE, LOG_FILE, HOME_FOLDER = "server.lock", "server.log", "home"

# Children that this process started: kept, or Popen warns when it is collected.
_children: list[subprocess.Popen[bytes]] = []


@dataclass(frozen=True)
class Record:
    """What the state file keeps; a pid alone may have been given to another process."""

    pid: int
    created: float
    port: int
    package: str
    stamp: str

    @property
    def url(self) -> str:
        """Return the address of its API."""
        return f"http://{HOST}:{self.port}/api"


# The state folder and the record in it.


def state_path() -> Path:
    """Return where the state folder is or would be."""
    configured = os.environ.get("STROP_STATE")
    if configured:
        return Path(configured).expanduser().absolute()
    return platformdirs.user_state_path("strop", appauthor=False)


def state_folder() -> Path:
    """Return the state folder, made if it is absent; raise ServerUnavailable if it cannot be."""
    folder = state_path()
    try:
        (folder / HOME_FOLDER).mkdir(parents=True, exist_ok=True)
        (folder / LOCK_FILE).touch()
    except OSError as error:
        raise ServerUnavailable(
            f"the state folder {folder} cannot be written ({error.strerror or error});"
            " set STROP_STATE to a folder that can"
        ) from error
    return folder


@contextlib.contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Let one process at a time look at, start or stop the server; the kernel frees the lock."""
    deadline = time.monotonic() + START_SECONDS + STOP_SECONDS
    with (folder / LOCK_FILE).open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ServerUnavailable(
                        f"another strop process holds {folder / LOCK_FILE}; end it and try again"
                    ) from None
                time.sleep(0.1)
        yield


def find(folder: Path) -> Record | None:
    """Return the record of a living server; clean up after a dead or unusable one.

    Raises ServerUnavailable where it lives on another machine that has this folder too.
    """
    record = read_record(folder)
    if record is None:
        return None
    if not is_alive(record):
        refuse_another_machines(folder)
        (folder / RECORD_FILE).unlink(missing_ok=True)
        return None
    if _package_stamp(record.package) != record.stamp:
        end(record, folder)  # its files were removed or replaced under it
        return None
    return record


def read_record(folder: Path) -> Record | None:
    """Return what the state file says; None when there is none or it cannot be read."""
    try:
        return Record(**json.loads((folder / RECORD_FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _write_record(folder: Path, record: Record) -> None:
    temporary = folder / f"{RECORD_FILE}.new"
    try:
        temporary.write_text(json.dumps(asdict(record)), encoding="utf-8")
        temporary.replace(folder / RECORD_FILE)
    except OSError as error:
        raise ServerUnavailable(
            f"{folder / RECORD_FILE} cannot be written ({error.strerror or error})"
        ) from error


def _process(record: Record) -> psutil.Process | None:
    """Return the recorded process, unless it ended or its pid means another one by now."""
    try:
        process = psutil.Process(record.pid)
        running = process.status() != psutil.STATUS_ZOMBIE
        return process if running and _is_recorded(process, record) else None
    except psutil.Error:
        return None


def _is_recorded(process: psutil.Process, record: Record) -> bool:
    """Whether it is the server of the record: by its start, or by its command line.

    Linux tells starts by a clock that may have been set since.
    """
    if abs(process.create_time() - record.created) < 2:
        return True
    words = process.cmdline()
    return PROCESS in words and str(record.port) in words


def is_alive(record: Record) -> bool:
    """Say whether the recorded process runs."""
    return _process(record) is not None


def _package_stamp(package: str) -> str:
    try:
        status = Path(package).stat()
    except OSError:
        return "gone"
    return f"{status.st_ino}-{status.st_mtime_ns}"


# Start and stop.


def start(folder: Path) -> Record:
    """Start a server, return once it answers; leave nothing behind when it does not."""
    port = server_port()
    refuse_another_machines(folder)
    require_free(port)
    try:
        record = _record(_spawn(folder, port).pid, port)
    except OSError as error:
        raise ServerUnavailable(
            f"the Prefect server cannot be started in {folder} ({error.strerror or error})"
        ) from error
    try:
        _write_record(folder, record)
        wait_until_healthy(record, folder)
    except BaseException:
        end(record, folder)
        raise
    return record


def _record(pid: int, port: int) -> Record:
    spec = find_spec("prefect")
    package = str(spec.origin) if spec else ""
    created = psutil.Process(pid).create_time()
    return Record(pid, created, port, package, _package_stamp(package))


def _spawn(folder: Path, port: int) -> subprocess.Popen[bytes]:
    """Start the process in a session of its own, so that the terminal's Ctrl-C passes it by.

    Its output goes to a file: prefect's ``--background`` leaves it pipes that nobody reads.
    """
    arguments = ["-P", "-m", PROCESS, "server", "start", "--host", HOST, "--port", str(port)]
    with (folder / LOG_FILE).open("wb") as log, held_alive(folder) as alive:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=folder,
            env=_server_environment(folder, port),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=[alive.fileno()],
        )
        alive.write(f" as process {process.pid}")
    _children.append(process)
    return process


def _server_environment(folder: Path, port: int) -> dict[str, str]:
    """Return this environment with none of the user's prefect settings, which mean clients."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PREFECT_")}
    return inherited | {
        "DO_NOT_TRACK": "1",
        "NO_COLOR": "1",
        "PREFECT_HOME": str(folder / HOME_FOLDER),
        "PREFECT_CLI_PROMPT": "false",
        # Leases of concurrency slots outlive a restart, and expired ones are noticed soon.
        "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES,
        "PREFECT_SERVER_SERVICES_REPOSSESSOR_LOOP_SECONDS": "5",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        # Where the pages look for their data: they do not follow ``--port``.
        "PREFECT_SERVER_UI_API_URL": f"http://{HOST}:{port}/api",
        # What notifications link to.
        "PREFECT_UI_URL": f"http://{HOST}:{port}",
        # The UI's files are copied when the server starts; site-packages may be read-only.
        "PREFECT_UI_STATIC_DIRECTORY": str(folder / "ui"),
    }


def wait_until_healthy(record: Record, folder: Path) -> None:
    """Return once the server answers; raise ServerUnavailable when it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    log = folder / LOG_FILE
    while problem := complaint(record.url, seconds=5):
        if not is_alive(record):
            raise ServerUnavailable(
                f"the Prefect server on port {record.port} ended while it started"
                f" ({_last_line(log)}); its log is {log}"
            )
        if time.monotonic() > deadline:
            raise ServerUnavailable(
                f"the Prefect server on port {record.port} (process {record.pid}) is not healthy"
                f" after {START_SECONDS:.0f} s: {problem}; its log is {log};"
                " end it with `strop ui --stop` and try again"
            )
        time.sleep(0.1)


def end(record: Record, folder: Path) -> None:
    """Terminate the server, by force if it does not go, and forget it."""
    if process := _process(record):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
            if not _ends(process):
                process.kill()
                _ends(process)
    (folder / RECORD_FILE).unlink(missing_ok=True)


def _ends(process: psutil.Process) -> bool:
    """Whether it ends in time; a run that started it and still lives may not have reaped it."""
    deadline = time.monotonic() + STOP_SECONDS
    while time.monotonic() < deadline:
        if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
            with contextlib.suppress(psutil.TimeoutExpired):
                process.wait(0)  # reaps it where it is a child of ours
            return True
        time.sleep(0.1)
    return False


def _last_line(path: Path) -> str:
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    return next((one_line(line) for line in reversed(lines) if line.strip()), "it said nothing")
