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
            from strop.tasks.node_probe import facts
        except ImportError as error:
            return {**found, "missing": str(error)}
        return {**found, **facts(store, token, name, api)}

    return probe


def facts(store: str, token: str, name: str, api: str | None) -> Facts:
    """What strop finds on this host."""
    from strop.artifacts.environment import library_versions

    return {
        "versions": {**library_versions(), "code of strop": code_digest()},
        "store": _store_problem(store, token, name),
        "prefect": _prefect_problem(api),
    }


def _store_problem(location: str, token: str, name: str) -> str | None:
    """Why this host cannot work with the run's store; None where it can."""
    from strop.artifacts import durable
    from strop.artifacts.store import Store

    try:
        folder = Store(location).root / "probe" / token
        (folder / "run").read_bytes()
        durable.create(folder / name, b"here")
    except FileNotFoundError:
        return "another folder lies there under the same path; workers and run must share the store"
    except Exception as error:
        return str(error).partition("\n")[0] or type(error).__name__
    return None


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
