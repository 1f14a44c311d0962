"""The port of the managed server: that it is free, or who holds it and what to do about that."""

import json
import socket
from contextlib import suppress
from pathlib import Path

import psutil

from strop.cli.server_probe import HOST, ServerUnavailable, complaint

PROCESS = "strop.cli.server_process"
RECORD_FILE = "server.json"
WAY_OUT = "set STROP_SERVER_PORT to a free port"


def require_free(port: int) -> None:
    """Raise ServerUnavailable, saying by whom, when a port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except PermissionError as error:
            raise ServerUnavailable(
                f"port {port} needs privileges; set STROP_SERVER_PORT to a port above 1023"
            ) from error
        except OSError as error:
            raise ServerUnavailable(
                f"port {port} for the Prefect server is taken by {_occupant(port)}"
            ) from error


def _occupant(port: int) -> str:
    """Say who listens on a port, and what can be done about it."""
    process = _listener(port)
    if process and (ours := _server_of_strop(process)):
        return ours
    url = f"http://{HOST}:{port}/api"
    if complaint(url, seconds=2) is None:
        return (
            f"a Prefect server that strop did not start;"
            f" set PREFECT_API_URL={url} to use it, or {WAY_OUT}"
        )
    who = f"{process.name()!r} (process {process.pid})" if process else "another program"
    return f"{who}; {WAY_OUT}, or end that program"


def _server_of_strop(process: psutil.Process) -> str | None:
    """What to do about a managed server of another state folder, or of one that was removed."""
    with suppress(psutil.Error):
        if PROCESS in process.cmdline():
            folder = Path(process.cwd())
            if _knows(folder, process.pid):
                return f"strop's own of {folder}; set STROP_STATE={folder} to use it, or {WAY_OUT}"
            return (
                f"strop's own (process {process.pid}) whose state folder {folder} was removed under"
                f" it; end it (kill {process.pid}) and try again, or {WAY_OUT}"
            )
    return None


def _knows(folder: Path, pid: int) -> bool:
    """Whether a state folder still has the record of this server."""
    with suppress(OSError, ValueError, KeyError, TypeError):
        return bool(json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))["pid"] == pid)
    return False


def _listener(port: int) -> psutil.Process | None:
    with suppress(psutil.Error):  # other users' connections may be hidden
        for connection in psutil.net_connections("tcp"):
            listens = connection.status == psutil.CONN_LISTEN
            if listens and connection.pid and connection.laddr and connection.laddr.port == port:
                return psutil.Process(connection.pid)
    return None
