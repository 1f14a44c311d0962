"""A store in a bucket whose answers are lost, late or wrong."""

import time

import pytest

from benchmarks.s3 import FAULTS, Plan, Servers
from strop.artifacts import refs, slots
from strop.artifacts.backends.location import StorePath
from strop.artifacts.errors import Conflict, Unreachable
from strop.artifacts.manifest import Manifest, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.artifacts.upkeep.collect import collect
from strop.artifacts.upkeep.plan import Policy
from strop.artifacts.verify import readable, verify

RECIPE = Recipe("scores", "score", 1, {}, {})


def whole(store: Store) -> bool:
    manifests, broken = readable(store)
    return not broken and not any(found for _, found in verify(store, manifests, deep=True))


def commit(store: Store, recipe: Recipe = RECIPE) -> Manifest:
    with store.attempt(recipe) as attempt:
        (attempt.folder / "a.txt").write_text("text")
        return store.commit(attempt, summary={})


QUICK = ("lost answer", "late request", "500 after")
LATER = [pytest.param(name, marks=pytest.mark.slow) for name in FAULTS if name not in QUICK]


@pytest.mark.parametrize("fault", [*QUICK, *LATER])
def test_a_commit_whose_manifest_meets_a_fault_is_whole(
    proxied: str, s3: Servers, fault: str
) -> None:
    store = Store(proxied)
    with store.attempt(RECIPE) as attempt:
        (attempt.folder / "a.txt").write_text("text")
        s3.plan(Plan(fault=fault, at=1, methods=("PUT",)))  # after the file
        made = store.commit(attempt, summary={})
    told = s3.plan()
    assert told["done"] == {fault: 1}
    assert [line for line in told["requests"] if line.startswith("PUT")][1].endswith(
        "manifest.json"
    )
    time.sleep(0.4)  # what is late has come
    assert made.attempt == attempt.name
    assert store.lookup(RECIPE) == made
    assert whole(store)


@pytest.mark.parametrize("fault", ["lost answer", "late request", "500 after"])
def test_a_move_and_a_record_are_made_once(proxied: str, s3: Servers, fault: str) -> None:
    store = Store(proxied)
    run = Run(store, "tiny")
    with store.attempt(RECIPE) as attempt:
        (attempt.folder / "a.txt").write_text("text")
        made = store.commit(attempt, summary={})
    seen = refs.read(store, "champion")
    s3.plan(Plan(fault=fault, at=0, methods=("PUT",)))
    refs.move(store, seen, {"n": 1})
    assert s3.plan()["done"] == {fault: 1}
    with pytest.raises(Conflict):
        refs.move(store, seen, {"n": 1})
    assert len(refs.history(store, "champion")) == 1
    with run.lease() as lease:
        s3.plan(Plan(fault=fault, at=0, methods=("PUT",)))
        run.record(lease, "prepare", {"scores": made.ref})
        assert s3.plan()["done"] == {fault: 1}
        run.record(lease, "prepare", {"more": made.ref})
    assert run.parts() == {"prepare": {"scores": made.ref, "more": made.ref}}


def test_files_stay_where_nobody_knows_whether_their_manifest_arrived(
    bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(bucket)
    put = slots.put

    def lose(home: StorePath, data: bytes) -> None:
        put(home, data)
        raise Unreachable("no answer")

    monkeypatch.setattr(slots, "put", lose)
    with pytest.raises(Unreachable, match="no answer"):
        commit(store)
    assert store.lookup(RECIPE) is not None
    assert whole(store)


@pytest.mark.slow
def test_a_storm_of_faults_costs_time_alone(proxied: str, s3: Servers) -> None:
    store = Store(proxied)
    s3.plan(Plan(rate=0.25, seed=5, seconds=0.05))
    for number in range(2):
        recipe = Recipe("scores", "score", 1, {"number": number}, {})
        assert store.lookup(recipe) is None
        assert commit(store, recipe) == store.lookup(recipe)
    collect(store, Policy(keep_days=1, grace_seconds=0))
    assert len(s3.plan()["done"]) >= 3
    s3.plan(Plan())
    assert len(store.artifacts()) == 2
    assert whole(store)
