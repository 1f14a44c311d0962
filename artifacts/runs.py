"""Runs: a named series of rounds over one config, with its artifact ids by part and role."""

import contextlib
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from strop.artifacts import durable
from strop.artifacts.backends.location import in_order, matching
from strop.artifacts.errors import Conflict, NotFound, StoreError
from strop.artifacts.leases import Lease
from strop.artifacts.manifest import ArtifactRef, timestamp
from strop.artifacts.refs import Ref, check_name
from strop.artifacts.store import Store
from strop.artifacts.words import as_yaml

Refs = dict[str, ArtifactRef]
Read = Callable[[dict[str, Any]], dict[str, Any]]


class Run:
    """A run's record in the store; whoever writes to it holds its `lease`."""

    def __init__(self, store: Store, name: str) -> None:
        """Name the run; nothing is read or written yet."""
        self.store = store
        self.name = check_name(name, "run")
        self.folder = store.root / "runs" / name

    def lease(self) -> Lease:
        """The lease that a process holds while it writes to this run."""
        return Lease(self.folder / "lease", what=f"run {self.name}")

    @property
    def config(self) -> dict[str, Any]:
        """The identity config that the run was started with; raises `NotFound`."""
        path = self.folder / "config.json"
        if not path.is_file():
            beside = [run.name for run in list_runs(self.store) if run.is_beside(self.name)]
            there = f"; there are {', '.join(beside)}" if beside else ""
            raise NotFound(f"run {self.name}: not in the store {self.store.location}{there}")
        config: dict[str, Any] = json.loads(path.read_bytes())
        return config

    def is_beside(self, name: str) -> bool:
        """Whether this is a night, a branch or an arm of a config of that name."""
        return self.name.startswith(f"{name}.")

    def config_or_none(self) -> dict[str, Any] | None:
        """The same, and None for a run that nobody has started."""
        return self.config if (self.folder / "config.json").is_file() else None

    def claim(self, config: dict[str, Any], *, read: Read = lambda recorded: recorded) -> None:
        """Start the run with its config, or check that it was started with the same one.

        ``read`` turns a recorded config into what today's version would have recorded.
        """
        if not (self.folder / "config.json").is_file():
            with contextlib.suppress(Conflict):
                durable.create(self.folder / "started", timestamp().encode())
        try:
            durable.create(
                self.folder / "config.json", json.dumps(config, indent=1, sort_keys=True).encode()
            )
        except Conflict:
            refuse_other_config(self.name, read(self.config), config)

    def withdraw(self, lease: Lease) -> None:
        """Take a claim back, unless the run has made anything: it may be started with any config.

        The claim itself goes last: one that is struck on the way leaves a run that was started.
        """
        with lease.guard():
            if not self.parts():
                for name in ("champion_at_start.json", "started", "config.json"):
                    (self.folder / name).unlink(missing_ok=True)

    @property
    def started(self) -> str:
        """When the run was first claimed, as manifests write times; empty where nobody knows."""
        path = self.folder / "started"
        return path.read_text(encoding="utf-8") if path.is_file() else ""

    def parts(self) -> dict[str, Refs]:
        """The refs of every recorded part of the run, by part and by role."""
        found = {}
        for path in in_order(self.folder / "parts", "*.json"):
            values = json.loads(path.read_bytes())
            found[path.stem] = {role: ArtifactRef(**ref) for role, ref in values.items()}
        return found

    def record(self, lease: Lease, part: str, refs: Refs) -> None:
        """Add refs to a part's record; a role that is recorded already is replaced."""
        with lease.guard():
            path = self.folder / "parts" / f"{part}.json"
            durable.amend(path, lambda known: _merged(known, refs))

    def finish(self, lease: Lease, outcome: str) -> None:
        """Keep how the run ended; every run of the same name tells the same from then on."""
        with lease.guard():
            text = json.dumps({"outcome": outcome, "finished": timestamp()}, indent=1)
            durable.amend(self.folder / "finished.json", lambda _: text.encode())

    @property
    def outcome(self) -> str | None:
        """How the run ended; None while it has not."""
        path = self.folder / "finished.json"
        if not path.is_file():
            return None
        outcome: str = json.loads(path.read_bytes())["outcome"]
        return outcome

    def opponent(self, lease: Lease, champion: Ref) -> dict[str, Any] | None:
        """The champion's value when the run first asked: what all its rounds are held against."""
        lease.check()
        path = self.folder / "champion_at_start.json"
        with contextlib.suppress(Conflict):
            durable.create(path, json.dumps(champion.value, indent=1, sort_keys=True).encode())
        value: dict[str, Any] | None = json.loads(path.read_bytes())
        return value

    def is_held_against(self, champion: Ref) -> bool:
        """Whether a champion is the run's opponent still, or its own; so before it has asked."""
        path = self.folder / "champion_at_start.json"
        if not path.is_file() or (champion.value or {}).get("run") == self.name:
            return True
        return bool(json.loads(path.read_bytes()) == champion.value)


def _merged(known: bytes, refs: Refs) -> bytes:
    values = {role: asdict(ref) for role, ref in refs.items()}
    return json.dumps({**json.loads(known or b"{}"), **values}, indent=1, sort_keys=True).encode()


def list_runs(store: Store) -> list[Run]:
    """Every run in the store, by name."""
    paths = in_order(store.root / "runs", "*/config.json")
    return [Run(store, path.parent.name) for path in paths]


def run_names(store: Store) -> set[str]:
    """The names of all runs, and of branches that were struck before they had a config."""
    begun = (path.parent.parent for path in matching(store.root / "runs", "*/parts/*.json"))
    return {run.name for run in list_runs(store)} | {path.name for path in begun}


def refuse_other_config(name: str, recorded: dict[str, Any], asked: dict[str, Any]) -> None:
    """Raise `StoreError` naming the first config key in which two identity configs differ."""
    before, now = _flat(recorded), _flat(asked)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise StoreError(
                f"run {name}: was started with {key} = {as_yaml(before.get(key))}, the config now "
                f"says {as_yaml(now.get(key))}; give the run another name or restore the value"
            )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat.update(_flat(item, f"{prefix}.{key}" if prefix else str(key)))
    return flat
