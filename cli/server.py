"""The Prefect server that a command uses: the one the user configured, or the managed one.

A configured server (``PREFECT_API_URL`` in the environment or in the active profile) is never
started or stopped here.
"""

import os
import shutil
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from strop.cli.managed_server import (
    HOME_FOLDER,
    LOG_FILE,
    Record,
    alone,
    end,
    find,
    is_alive,
    read_record,
    start,
    state_folder,
    state_path,
    wait_until_healthy,
)
from strop.cli.server_alive import refuse_another_machines
from strop.cli.server_port import RECORD_FILE
from strop.cli.server_probe import HOST, ServerUnavailable, complaint, is_local

FULL_BYTES = 1 << 20
"""With less free disk than this, SQLite's transactions fail."""

__all__ = [
    "Server",
    "ServerUnavailable",
    "client_environment",
    "ensure_server",
    "fault_of_server",
    "find_server",
    "stop_server",
]


@dataclass(frozen=True)
class Server:
    """A Prefect server that answers; ``started`` says that this call brought it up."""

    url: str
    ui_url: str
    managed: bool
    started: bool = False


def ensure_server(announce: Callable[[str], None]) -> Server:
    """Return a server that answers: the configured one, the managed one, or a new managed one.

    ``announce`` hears of a start, which takes about 4 s, and 10 s with a new database.
    Raises ServerUnavailable.
    """
    if url := _configured_url():
        return _configured_server(url)
    folder = state_folder()
    with alone(folder):
        record = find(folder)
        started = record is None
        if record is None:
            announce("Starting the Prefect server (about 10 seconds the first time)")
            record = start(folder)
        else:
            wait_until_healthy(record, folder)
    return _managed_server(record, started=started)


def find_server() -> Server | None:
    """Return the server that a run would use if it answers now; start nothing."""
    if url := _configured_url():
        return None if complaint(url) else Server(url, _ui_url(url), managed=False)
    record = read_record(state_path())
    if record is None or not is_alive(record) or complaint(record.url):
        return None
    return _managed_server(record, started=False)


def stop_server() -> bool:
    """End the managed server, if there is one, and say whether there was."""
    if not (state_path() / RECORD_FILE).exists():
        return False
    folder = state_folder()
    with alone(folder):
        record = read_record(folder)
        if record is None:
            return False
        was_alive = is_alive(record)
        if not was_alive:
            refuse_another_machines(folder)
        end(record, folder)
    return was_alive


def client_environment(server: Server) -> dict[str, str]:
    """Return what a process must have in its environment before it imports prefect.

    Logs go to the server and not to the terminal, nothing is reported to anybody, results are
    small JSON and not cached. What the user has set stays, except for the server's address.
    """
    wanted = {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",
        "PREFECT_SILENCE_API_URL_MISCONFIGURATION": "true",
        "PREFECT_RESULTS_DEFAULT_SERIALIZER": "json",
        "PREFECT_RESULTS_PERSIST_BY_DEFAULT": "false",
        "PREFECT_TASKS_DEFAULT_NO_CACHE": "true",
        "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
        "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL": "CRITICAL",
        "PREFECT_LOGGING_HANDLERS_DEBUG_LEVEL": "CRITICAL",
    }
    if server.managed:
        # A server may be away for a minute. With prefect's 5, a flow whose server was ended fails
        # after 190 s; with 3, after 40 s, and a server that starts anew is missed.
        wanted["PREFECT_CLIENT_MAX_RETRIES"] = "4"
        wanted["PREFECT_HOME"] = str(state_path() / HOME_FOLDER)
        wanted["PREFECT_CLIENT_CSRF_SUPPORT_ENABLED"] = "false"
        wanted["PREFECT_CLIENT_SERVER_VERSION_CHECK_ENABLED"] = "false"
    environment = {key: os.environ.get(key, value) for key, value in wanted.items()}
    return environment | _without_proxy(server) | {"PREFECT_API_URL": server.url}


def _managed_server(record: Record, *, started: bool) -> Server:
    return Server(record.url, _ui_url(record.url), managed=True, started=started)


def fault_of_server(error: BaseException) -> str | None:
    """What to say of an error that is a server's own, as with a full disk; None for any other."""
    answer = getattr(error, "response", None)
    code = getattr(answer, "status_code", 0)
    if type(error).__module__.partition(".")[0] != "prefect" or code < 500:
        return None
    url, folder = os.environ.get("PREFECT_API_URL"), state_path()
    said = f"the Prefect server at {url} answers {code}"
    record = read_record(folder)
    if record is None or record.url != url:
        return f"{said}; its log tells why; the same command resumes"
    if shutil.disk_usage(folder).free < FULL_BYTES:
        return f"{said}: disk full at {folder}; free some space, and the same command resumes"
    return f"{said}; {folder / LOG_FILE} tells why; the same command resumes"


# A server that the user configured.


def _configured_url() -> str | None:
    url = os.environ.get("PREFECT_API_URL") or _profile_url()
    return url.rstrip("/") if url else None


def _profile_url() -> str | None:
    """Read the active profile's address as prefect does, without the second its import takes."""
    home = Path(os.environ.get("PREFECT_HOME") or "~/.prefect")
    path = Path(os.environ.get("PREFECT_PROFILES_PATH") or home / "profiles.toml").expanduser()
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
        active = os.environ.get("PREFECT_PROFILE") or document["active"]
        return str(document["profiles"][active]["PREFECT_API_URL"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _configured_server(url: str) -> Server:
    if problem := complaint(url):
        raise ServerUnavailable(
            f"PREFECT_API_URL is {url}, but {problem}; start that server or correct the address,"
            " or unset it and strop starts a server of its own"
        )
    return Server(url, _ui_url(url), managed=False)


def _ui_url(api_url: str) -> str:
    if configured := os.environ.get("PREFECT_UI_URL"):
        return configured
    cloud = "https://api.prefect.cloud/api"
    if api_url.startswith(cloud):
        path = api_url.removeprefix(cloud).replace("/accounts/", "/account/")
        return "https://app.prefect.cloud" + path.replace("/workspaces/", "/workspace/")
    return api_url.removesuffix("/api")


def _without_proxy(server: Server) -> dict[str, str]:
    """Keep prefect's own requests to a server on this machine away from a configured proxy."""
    if not is_local(server.url):
        return {}
    excepted = [os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or "", HOST, "localhost"]
    joined = ",".join(entry for entry in excepted if entry)
    return {"NO_PROXY": joined, "no_proxy": joined}
