"""Runs: a named series of rounds over one config, with every round's artifact ids by role."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from strop.artifacts import durable
from strop.artifacts.errors import Conflict, NotFound, StoreError
from strop.artifacts.leases import Lease
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.refs import check_name
from strop.artifacts.store import Store

Refs = dict[str, ArtifactRef]


class Run:
    """A run's record in the store; open it with `open_run` to write, `find_run` to read."""

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
        if not path.exists():
            raise NotFound(f"run {self.name}: not in the store {self.store.root}")
        config: dict[str, Any] = json.loads(path.read_bytes())
        return config

    def claim(self, config: dict[str, Any]) -> None:
        """Start the run with its config, or check that it was started with the same one."""
        try:
            durable.create(
                self.folder / "config.json", json.dumps(config, indent=1, sort_keys=True).encode()
            )
        except Conflict:
            refuse_other_config(self.name, self.config, config)

    def rounds(self) -> dict[int, Refs]:
        """The refs of every recorded round by role; round 0 holds what comes before round 1."""
        found = {}
        for path in sorted((self.folder / "rounds").glob("*.json")):
            values = json.loads(path.read_bytes())
            found[int(path.stem)] = {role: ArtifactRef(**ref) for role, ref in values.items()}
        return found

    def record(self, lease: Lease, round_number: int, refs: Refs) -> None:
        """Add refs to a round's record."""
        lease.check()
        path = self._round_path(round_number)
        known = self.rounds().get(round_number, {})
        merged = {role: asdict(ref) for role, ref in {**known, **refs}.items()}
        durable.replace(path, json.dumps(merged, indent=1, sort_keys=True).encode())

    def _round_path(self, round_number: int) -> Path:
        return self.folder / "rounds" / f"{round_number:03d}.json"


def list_runs(store: Store) -> list[Run]:
    """Every run in the store, by name."""
    paths = sorted((store.root / "runs").glob("*/config.json"))
    return [Run(store, path.parent.name) for path in paths]


def refuse_other_config(name: str, recorded: dict[str, Any], asked: dict[str, Any]) -> None:
    """Raise `StoreError` naming the first config key in which two identity configs differ."""
    before, now = _flat(recorded), _flat(asked)
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise StoreError(
                f"run {name}: was started with {key} = {before.get(key)!r}, the config now says "
                f"{now.get(key)!r}; give the run another name or restore the value"
            )


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {prefix: value}
    flat: dict[str, Any] = {}
    for key, item in value.items():
        flat.update(_flat(item, f"{prefix}.{key}" if prefix else str(key)))
    return flat
