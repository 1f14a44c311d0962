"""What commits, pins, moves of a ref, leases and collections leave behind, in any order of them."""

from itertools import count

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from strop.artifacts import pins, refs
from strop.artifacts.errors import Busy, Conflict
from strop.artifacts.inspection.catalog import Entry, read_catalog
from strop.artifacts.manifest import ArtifactRef, Manifest, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.artifacts.upkeep.collect import collect
from strop.artifacts.upkeep.plan import Policy
from strop.artifacts.verify import verify


class StoreMachine(RuleBasedStateMachine):
    """Commits, pins, moves of a champion, runs and collections in any order.

    The model knows what must be there: everything that a record, a ref or a pin speaks of, and
    all that it was made from.
    """

    def __init__(self, location: str) -> None:
        super().__init__()
        self.location = location

    @initialize()
    def make_store(self) -> None:
        self.store = Store(self.location)
        self.made: dict[str, Manifest] = {}
        self.roots: dict[str, set[str]] = {"pins": set(), "ref": set(), "run": set()}
        self.moves = 0

    def there(self) -> list[Manifest]:
        return [item for item in self.made.values() if item in self.store.artifacts()]

    def needed(self) -> set[str]:
        found: set[str] = set()
        waiting = [name for names in self.roots.values() for name in names]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += [ref.id for ref in self.made[name].inputs.values()]
        return found

    @rule(number=st.integers(0, 4), data=st.data())
    def commit(self, number: int, data: st.DataObject) -> None:
        parents = [None, *sorted(self.there(), key=lambda item: item.id)]
        parent = data.draw(st.sampled_from(parents))
        inputs: dict[str, ArtifactRef] = {"of": parent.ref} if parent else {}
        recipe = Recipe("scores", "score", 1, {"number": number}, inputs)
        found = self.store.lookup(recipe)
        assert (found is not None) == (recipe.id in {item.id for item in self.store.artifacts()})
        with self.store.attempt(recipe) as attempt:
            (attempt.folder / "text.txt").write_text(recipe.key)
            made = self.store.commit(attempt, summary={})
        assert found is None or made == found
        self.made[made.id] = made

    @rule(number=st.integers(5, 8))
    def fail(self, number: int) -> None:
        recipe = Recipe("scores", "score", 1, {"number": number}, {})
        try:
            with self.store.attempt(recipe) as attempt:
                (attempt.folder / "half.txt").touch()
                raise ValueError
        except ValueError:
            assert self.store.lookup(recipe) is None

    @precondition(lambda self: self.there())
    @rule(data=st.data(), keep=st.booleans())
    def pin(self, data: st.DataObject, keep: bool) -> None:
        item = data.draw(st.sampled_from(sorted(self.there(), key=lambda item: item.id)))
        if keep:
            pins.keep(self.store.root, item.kind, item.id, "")
            self.roots["pins"].add(item.id)
        else:
            assert pins.let_go(self.store.root, item.kind, item.id) == (
                item.id in self.roots["pins"]
            )
            self.roots["pins"].discard(item.id)

    @precondition(lambda self: self.there())
    @rule(data=st.data(), stale=st.booleans())
    def move(self, data: st.DataObject, stale: bool) -> None:
        item = data.draw(st.sampled_from(sorted(self.there(), key=lambda item: item.id)))
        seen = refs.read(self.store, "champion")
        assert seen.generation == self.moves
        if stale and seen.generation:
            try:
                refs.move(self.store, refs.Ref("champion", seen.generation - 1, None), {})
            except Conflict:
                return
            raise AssertionError("a stale move was accepted")
        refs.move(self.store, seen, {"reranker": vars(item.ref)})
        self.roots["ref"].add(item.id)
        self.moves += 1

    @precondition(lambda self: self.there())
    @rule(data=st.data())
    def record(self, data: st.DataObject) -> None:
        item = data.draw(st.sampled_from(sorted(self.there(), key=lambda item: item.id)))
        run = Run(self.store, "tiny")
        run.claim({})
        with run.lease() as lease:
            try:
                with Run(self.store, "tiny").lease():
                    raise AssertionError("two held the lease")
            except Busy:
                run.record(lease, "prepare", {"scores": item.ref})
        self.roots["run"] = {item.id}

    @rule()
    def forget_process(self) -> None:
        """As if the process that pinned by its work had ended."""
        for folder in (self.store.root / "pins").glob("*"):
            if folder.name != pins.KEPT:
                for path in folder.glob("*/*"):
                    path.unlink()

    @rule()
    def collect(self) -> None:
        used = {name for _, name in pins.pinned(self.store.root)}
        before = {item.id for item in self.store.artifacts()}
        gone = {
            item.id for item in collect(self.store, Policy(keep_days=0, grace_seconds=0)).artifacts
        }
        after = {item.id for item in self.store.artifacts()}
        self.roots["used"] = used & before
        assert gone == before - self.needed()
        assert after == before - gone
        self.roots["used"] = set()

    @invariant()
    def what_is_spoken_of_is_whole(self) -> None:
        if not hasattr(self, "store"):
            return
        there = self.store.artifacts()
        assert {item.id for item in there} >= self.needed()
        assert not any(defects for _, defects in verify(self.store, there, deep=True))
        assert read_catalog(self.store).entries == [Entry.of(item) for item in there]


EXAMPLES_AND_STEPS = {"folder": (15, 20), "s3": (3, 10)}


@pytest.mark.parametrize("location", ["folder", "s3"], indirect=True)
def test_no_order_of_operations_loses_or_damages_anything(location: str) -> None:
    examples, steps = EXAMPLES_AND_STEPS["s3" if location.startswith("s3:") else "folder"]
    run(location, examples, steps)


@pytest.mark.slow
def test_nor_do_many_orders_in_a_bucket(bucket: str) -> None:
    run(bucket, 25, 25)


def run(location: str, examples: int, steps: int) -> None:
    numbers = count()
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: StoreMachine(f"{location}/{next(numbers)}"),
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
