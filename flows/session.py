"""A run that this process works on: its store, its lease and its record."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from strop.artifacts import refs
from strop.artifacts.errors import Conflict, NotFound
from strop.artifacts.leases import Lease
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.heartbeats import beating
from strop.flows.location import Location
from strop.flows.lost_runs import end_lost_runs
from strop.flows.recorded import with_defaults
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.threads import use_threads
from strop.tasks.cluster import cluster
from strop.tasks.stage import Place

Refs = dict[str, ArtifactRef]

PREPARE, PROMOTE, ASSESS = "prepare", "promote", "assess"


def round_part(number: int) -> str:
    """The name of a round's part in a run's record."""
    return f"round-{number:03d}"


def part_title(part: str) -> str:
    """How people read a part's name: ``round-002`` is ``round 2``."""
    name, _, number = part.partition("-")
    return f"{name} {int(number)}" if number.isdigit() else part


def missing(run: str, part: str) -> str:
    """What to say of a run's part that does not exist yet."""
    if part == PREPARE:
        return f"run {run}: has not been started; `strop run CONFIG` starts it"
    return f"run {run}: {part_title(part)} does not exist yet; run it first"


@dataclass(frozen=True)
class Session:
    """What the flows of one run share while this process holds the run's lease."""

    config: Config
    run: Run
    lease: Lease

    @property
    def store(self) -> Store:
        """The store."""
        return self.run.store

    def place(self, part: str) -> Place:
        """Where a stage of this part of the run takes place."""
        return Place(self.store.location, self.run.name, part_title(part))

    def record(self, part: str, **found: ArtifactRef) -> None:
        """Add refs to a part's record."""
        self.run.record(self.lease, part, found)

    def part(self, part: str) -> Refs:
        """A part's refs; raises `NotFound` naming what has to run first."""
        found = self.run.parts().get(part)
        if found is None:
            raise NotFound(missing(self.run.name, part))
        return found

    def has(self, part: str, role: str) -> bool:
        """Whether a part of the run has recorded this role."""
        return role in self.run.parts().get(part, {})

    def claim(
        self,
        dataset: ArtifactRef,
        verdicts: ArtifactRef | None = None,
        guard_sets: Sequence[ArtifactRef] = (),
    ) -> None:
        """Start the run over this data set, or check that it is the same config and data."""
        values = self.config.identity()
        if verdicts:
            values["mining"]["verdicts"] = verdicts.id
        for values_of_set, ref in zip(
            values["decision"].get("guard_sets", ()), guard_sets, strict=True
        ):
            values_of_set["dataset"] = ref.id
        values.pop("data", None)  # the artifact's id is over what was said of its files
        self.run.claim({**values, "dataset": f"dataset {dataset.id}"}, read=with_defaults)

    @contextlib.contextmanager
    def mendable(self) -> Iterator[None]:
        """Work whose refusal leaves no run that only its own config, which is wrong, could resume.

        It is for what takes long to find out; all else is asked before the claim.
        """
        try:
            yield
        except InputError:
            self.run.withdraw(self.lease)
            raise

    def opponent(self) -> dict[str, Any] | None:
        """The champion that the run is held against: the ref's value when the run first asked."""
        return self.run.opponent(self.lease, refs.read(self.store, self.config.champion))

    def champion(self) -> dict[str, Any] | None:
        """The champion now."""
        return refs.read(self.store, self.config.champion).value

    def crown(self, value: dict[str, Any]) -> bool:
        """Move the champion's ref, unless this decision has moved it already; whether it did.

        One that was rolled back since stays so: a run that goes on must not undo a person's word.
        """
        self.lease.check()
        moves = refs.history(self.store, self.config.champion)
        if any(is_same_move(move.value or {}, value) for move in moves):
            return False
        current = moves[-1] if moves else refs.Ref(self.config.champion, 0, None)
        self.opponent()
        if not self.run.is_held_against(current):
            raise Conflict(replaced(current))
        refs.move(self.store, current, value)
        return True


def replaced(champion: refs.Ref) -> str:
    """What to say of a champion that was moved while a run was held against the one before."""
    value = champion.value or {}
    how = "a rollback" if "restored" in value else "another run"
    return (
        f"champion {champion.name}: {how} has made {value.get('name')} champion since this run "
        f"started, as move {champion.generation}; decide again under another run name"
    )


def is_same_move(made: dict[str, Any], value: dict[str, Any]) -> bool:
    """Whether a champion's move is of the same decision, or of the same reranker of the run.

    A newer version of a stage may have made the decision again, under another id, when a run that
    is finished is run once more. A run has one first champion, which is round 0.
    """
    if value["decision"] and made.get("decision") == value["decision"]:
        return True
    keys = ("run", "round") if value.get("round") == 0 else ("run", "round", "reranker")
    return all(made.get(key) == value.get(key) for key in keys)


_held: dict[tuple[str, str], Session] = {}


def is_held(config: Config, store: Location) -> bool:
    """Whether this process holds the run's lease already: a flow within another one."""
    return (Store(store).location, config.name) in _held


@contextlib.contextmanager
def hold(config: Config, store: Location) -> Iterator[Session]:
    """The session of a run, whose lease this process takes unless it holds it already."""
    opened = Store(store)
    key = (opened.location, config.name)
    if key in _held:
        with beating():
            yield _held[key]
        return
    use_threads(config.execution.threads)
    run = Run(opened, config.name)
    with beating(), cluster(config.execution, opened.location), run.lease() as lease:
        end_lost_runs(opened.location, config.name)
        _held[key] = Session(config, run, lease)
        try:
            yield _held[key]
        finally:
            del _held[key]
