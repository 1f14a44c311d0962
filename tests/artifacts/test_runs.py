"""Runs: one config a name, and a record that only the lease's holder writes."""

import pytest

from strop.artifacts import refs
from strop.artifacts.errors import Conflict, NotFound, StoreError
from strop.artifacts.leases import Lease
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run, list_runs
from strop.artifacts.store import Store
from tests.artifacts.test_durable import in_threads

CONFIG = {"seed": 7, "mining": {"margin": 0.5, "sizes": [8, 16]}}


def ref(digit: str) -> ArtifactRef:
    return ArtifactRef("scores", digit * 16, f"digest {digit}")


def test_the_same_name_and_config_resume(store: Store) -> None:
    Run(store, "demo").claim(CONFIG)
    Run(store, "demo").claim({"mining": {"sizes": [8, 16], "margin": 0.5}, "seed": 7})
    assert Run(store, "demo").config == CONFIG


@pytest.mark.parametrize(
    ("config", "line"),
    [
        (
            {"seed": 8, "mining": {"margin": 0.5, "sizes": [8, 16]}},
            "run demo: was started with seed = 7, the config now says 8; ",
        ),
        (
            {"seed": 7, "mining": {"margin": 0.6, "sizes": [8, 16]}},
            "run demo: was started with mining.margin = 0.5, the config now says 0.6; ",
        ),
        (
            {"seed": 7, "mining": {"margin": 0.5, "sizes": [8]}},
            r"run demo: was started with mining.sizes = \[8, 16\], the config now says \[8\]; ",
        ),
        (
            {**CONFIG, "mining": True},
            "was started with mining = nothing, the config now says true; ",
        ),
        ({"mining": CONFIG["mining"]}, "was started with seed = 7, the config now says nothing; "),
        ({**CONFIG, "rounds": 2}, "was started with rounds = nothing, the config now says 2; "),
    ],
)
def test_the_same_name_with_another_config_is_refused_naming_the_key(
    store: Store, config: dict, line: str
) -> None:
    Run(store, "demo").claim(CONFIG)
    with pytest.raises(StoreError, match=line + "give the run another name or restore the value"):
        Run(store, "demo").claim(config)
    assert Run(store, "demo").config == CONFIG


def test_of_many_first_claims_one_config_stays(store: Store) -> None:
    refused = []

    def claim(number: int) -> None:
        try:
            Run(store, "demo").claim({"seed": number})
        except StoreError:
            refused.append(number)

    in_threads(6, claim)
    assert {*refused, Run(store, "demo").config["seed"]} == set(range(6))
    assert len(refused) == 5


def test_a_record_keeps_refs_by_part_and_role(store: Store) -> None:
    run = Run(store, "demo")
    with run.lease() as lease:
        run.record(lease, "round-001", {"scores": ref("a")})
        run.record(lease, "round-001", {"negatives": ref("b")})
        run.record(lease, "round-002", {"scores": ref("c")})
        run.record(lease, "round-001", {"scores": ref("d")})
    assert Run(store, "demo").parts() == {
        "round-001": {"scores": ref("d"), "negatives": ref("b")},
        "round-002": {"scores": ref("c")},
    }


def test_threads_that_record_at_once_lose_nothing(store: Store) -> None:
    run = Run(store, "demo")
    with run.lease() as lease:
        in_threads(8, lambda number: run.record(lease, "round-001", {f"r{number}": ref("a")}))
    assert sorted(run.parts()["round-001"]) == [f"r{number}" for number in range(8)]


def test_only_the_newest_holder_records(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strop.artifacts.leases.EXPIRY_SECONDS", 0.0)  # expired when it is taken
    run = Run(store, "demo")
    with run.lease() as old, run.lease() as new:
        run.record(new, "round-001", {"scores": ref("a")})
        with pytest.raises(Conflict, match="run demo: another process has taken over"):
            run.record(old, "round-001", {"scores": ref("b")})
        with pytest.raises(Conflict, match="run demo: another process has taken over"):
            run.opponent(old, refs.read(store, "champion"))
    assert run.parts() == {"round-001": {"scores": ref("a")}}


def test_a_lease_that_was_never_taken_writes_nothing(store: Store) -> None:
    run = Run(store, "demo")
    with pytest.raises(Conflict):
        run.record(Lease(run.folder / "lease", what="run demo"), "round-001", {"scores": ref("a")})
    assert run.parts() == {}


def test_the_opponent_is_the_champion_of_the_first_question(store: Store) -> None:
    first = refs.move(store, refs.read(store, "champion"), {"reranker": "a1"})
    run = Run(store, "demo")
    with run.lease() as lease:
        assert run.opponent(lease, first)["reranker"] == "a1"
        second = refs.move(store, first, {"reranker": "b2"})
        assert run.opponent(lease, second)["reranker"] == "a1"


def test_no_champion_at_the_start_stays_none(store: Store) -> None:
    run = Run(store, "demo")
    with run.lease() as lease:
        assert run.opponent(lease, refs.read(store, "champion")) is None
        first = refs.move(store, refs.read(store, "champion"), {"reranker": "a1"})
        assert run.opponent(lease, first) is None


def test_a_claim_is_withdrawn_only_from_a_run_that_has_made_nothing(store: Store) -> None:
    champion = refs.move(store, refs.read(store, "champion"), {"reranker": "a1"})
    run = Run(store, "demo")
    with run.lease() as lease:
        run.claim(CONFIG)
        run.opponent(lease, champion)
        run.withdraw(lease)
        assert (run.config_or_none(), run.started, list_runs(store)) == (None, "", [])
        run.claim({"seed": 8})
        moved = refs.move(store, champion, {"reranker": "b2"})
        assert run.opponent(lease, moved)["reranker"] == "b2", "what it is held against by then"
        run.record(lease, "prepare", {"dataset": ref("a")})
        run.withdraw(lease)
        assert run.config == {"seed": 8}
        assert run.opponent(lease, champion)["reranker"] == "b2"
    with pytest.raises(Conflict):
        run.withdraw(lease)


def test_runs_are_listed_by_name_once_they_have_a_config(store: Store) -> None:
    assert list_runs(store) == []
    for name in ("nightly", "demo"):
        Run(store, name).claim(CONFIG)
    with Run(store, "not-claimed").lease():
        pass
    assert [run.name for run in list_runs(store)] == ["demo", "nightly"]


def test_an_unknown_run_and_a_bad_name_are_named(store: Store) -> None:
    Run(store, "demo.1a2b").claim(CONFIG)
    with pytest.raises(NotFound, match=r"run demo: not in the store .*; there are demo\.1a2b$"):
        _ = Run(store, "demo").config
    with pytest.raises(StoreError, match=r"run '\.\./x': expected lower-case letters"):
        Run(store, "../x")
