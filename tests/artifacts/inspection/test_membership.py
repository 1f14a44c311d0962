"""Which run and round an artifact belongs to."""

from strop.artifacts.inspection.catalog import read_catalog
from strop.artifacts.inspection.membership import Membership, memberships
from strop.artifacts.manifest import Manifest
from strop.artifacts.runs import Run
from strop.artifacts.store import Store


def record(store: Store, name: str, **parts: dict[str, Manifest]) -> None:
    run = Run(store, name)
    run.claim({"rounds": 2})
    with run.lease() as lease:
        for part, made in parts.items():
            refs = {role: item.ref for role, item in made.items()}
            run.record(lease, part.replace("_", "-"), refs)


def found(store: Store, item: Manifest) -> list[Membership]:
    return memberships(store, read_catalog(store).entries).get((item.kind, item.id), [])


def test_an_artifact_belongs_to_every_part_that_recorded_it(store: Store, make) -> None:
    pool = make("candidates")
    scores = make("scores", pool=pool)
    record(store, "a", prepare={"candidates": pool}, round_002={"scores": scores, "pool": pool})
    assert found(store, pool) == [
        Membership("a", "prepare", 0, "candidates"),
        Membership("a", "round-002", 2, "pool"),
    ]
    assert found(store, scores) == [Membership("a", "round-002", 2, "scores")]


def test_what_nobody_recorded_belongs_to_the_round_that_it_was_made_for(store: Store, make) -> None:
    ranking = make("ranking", number=1)
    metrics = make("metrics", ranking=ranking)
    report = make("report", metrics=metrics)
    breakdown = make("breakdown", ranking=ranking)
    record(store, "a", assess={"breakdown": breakdown, "metrics_test_2": metrics, "report": report})
    assert found(store, ranking) == [Membership("a", "assess", 2, "")]
    assert found(store, report) == [Membership("a", "assess", None, "report")]


def test_artifacts_of_several_runs_name_them_all_and_others_none(store: Store, make) -> None:
    shared, alone = make("dataset"), make("model")
    record(store, "b", prepare={"dataset": shared})
    record(store, "a", prepare={"dataset": shared})
    assert [item.run for item in found(store, shared)] == ["a", "b"]
    assert found(store, alone) == []
