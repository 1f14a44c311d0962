"""What a host of a cluster has: versions, the store, disk, and the way to Prefect.

The probe travels by value, so that it tells of hosts without strop too.
"""

import hashlib
import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

Facts = dict[str, Any]
LAYERS = ("artifacts", "pipeline", "tasks")
ANSWER_SECONDS = 10.0
CREDENTIALS = "; workers take credentials and address from the environment that Ray was started in"


def code_digest() -> str:
    """The digest of all code of strop that decides what a shard holds."""
    found = hashlib.sha256()
    for layer in LAYERS:
        folder = Path(str(importlib.import_module(f"strop.{layer}").__file__)).parent
        for path in sorted(folder.rglob("*.py")):
            found.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return found.hexdigest()[:12]


def probe_of(store: str, token: str, api: str | None) -> Callable[[str], Facts]:
    """Tells of the host that it runs on, which writes its name below the token's place."""

    def probe(name: str) -> Facts:
        import socket

        found: Facts = {"host": socket.gethostname()}
        try:
            import prefect_ray  # noqa: F401

            import strop.tasks.make_shard  # noqa: F401
            from strop.tasks.node_probe import facts
        except ImportError as error:
            return {**found, "missing": str(error)}
        return {**found, **facts(store, token, name, api)}

    return probe


def facts(store: str, token: str, name: str, api: str | None) -> Facts:
    """What strop finds on this host."""
    from strop.artifacts.environment import library_versions

    without_store = _store_problem(store, token, name)
    return {
        "versions": {**library_versions(), "code of strop": code_digest()},
        "store": without_store,
        "disk": None if without_store else _disk_problem(store),
        "prefect": _prefect_problem(api),
    }


def _store_problem(location: str, token: str, name: str) -> str | None:
    """Why this host cannot work with the run's store; None where it can."""
    from strop.artifacts import durable
    from strop.artifacts.backends.location import store_path

    try:
        folder = store_path(location) / "probe" / token  # `Store` would make one that is not there
        (folder / "run").read_bytes()
        durable.create(folder / name, b"here")
    except FileNotFoundError:
        return "another folder lies there under the same path; workers and run must share the store"
    except Exception as error:
        if "://" in location:
            return f"{_first_line(error)}{CREDENTIALS}"
        reason = error.strerror if isinstance(error, OSError) else None
        return f"{location}: {reason or _first_line(error)}"
    return None


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0] or type(error).__name__


def _disk_problem(location: str) -> str | None:
    """Which disk of this host is too full for a worker; None where none is."""
    from strop.artifacts.store import Store
    from strop.tasks.free_disk import disk_shortage

    return disk_shortage({"the store": Store(location).local, **_ray_files()})


def _ray_files() -> dict[str, Path]:
    """Where Ray keeps its files on this host, in a process of its."""
    import ray

    node = ray._private.worker._global_node
    return {} if node is None else {"Ray's files": Path(node.get_session_dir_path())}


def _prefect_problem(api: str | None) -> str | None:
    """Why this host does not reach Prefect's server; None where it does, or where none is named."""
    import httpx

    if api is None:
        return None
    try:
        httpx.get(f"{api}/health", timeout=ANSWER_SECONDS).raise_for_status()
    except (httpx.HTTPError, OSError) as error:
        return str(error) or type(error).__name__
    return None
