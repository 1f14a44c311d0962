"""The config of a night whose run has begun before, and died."""

import pyarrow as pa
import pytest

from strop.artifacts import refs
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.schemas import DECISION
from strop.artifacts.store import Store
from strop.flows.nightly import config_of_tonight, runs_for
from strop.flows.session import Session
from strop.pipeline.config import Config
from strop.tasks.stage import Place

DATASET = ArtifactRef("dataset", "d" * 16, "d" * 64)
GUARD = {"name": "other", "dataset": "guard"}


@pytest.fixture
def tonight(tmp_path):
    """The store, and what the config of a night is."""
    store = Store(tmp_path / "store")

    def found(**decision):
        config = Config.model_validate({"name": "tiny", "decision": decision})
        return config_of_tonight(store, config, DATASET, Place(store.location, "tiny", "nightly"))

    return store, found


def begin(store, config, guard_sets):
    """Claim the run as its preparation does, over the guard sets that it imported."""
    run = Run(store, config.name)
    with run.lease() as lease:
        Session(config, run, lease).claim(DATASET, None, guard_sets)


def test_a_night_that_died_goes_on_with_the_guard_sets_and_the_base_that_it_began_with(tonight):
    store, found = tonight
    imported = ArtifactRef("dataset", "a" * 16, "a" * 64)
    first = found(guard_sets=[GUARD])
    assert first.decision.guard_sets[0].dataset == "guard", "a folder, to be imported"
    begin(store, first, [imported])

    reranker = {"kind": "reranker", "id": "b" * 16, "digest": "b" * 64}
    refs.move(store, refs.read(store, "tiny"), {"run": "tiny", "reranker": reranker})
    again = found(guard_sets=[GUARD])
    assert again.name == first.name
    assert again.decision.guard_sets[0].dataset == imported.id, "whatever the folder has by now"
    assert again.reranker.base == first.reranker.base
    begin(store, again, [imported])


def test_a_night_without_guard_sets_goes_on_without(tonight):
    store, found = tonight
    first = found()
    begin(store, first, [])
    assert found() == first
    assert found(guard_sets=[GUARD]).name != first.name


def test_a_run_by_the_configs_own_name_is_for_the_champion_of_that_name(tonight):
    store, found = tonight
    by_hand = Config.model_validate({"name": "tiny"})
    assert by_hand.decision.champion is None, "as configs mostly leave it"
    night, other = found(), by_hand.model_copy(update={"name": "other"})
    for config in (by_hand, night, other):
        begin(store, config, [])
    assert {run.name for run in runs_for(store, "tiny")} == {night.name, "tiny"}


def crown(store, run, number):
    value = {"run": run, "round": number, "reranker": None, "name": f"round {number} of {run}"}
    return refs.move(store, refs.read(store, "tiny"), value)


def hold_against_the_champion(store, config):
    begin(store, config, [])
    run = Run(store, config.name)
    with run.lease() as lease:
        run.opponent(lease, refs.read(store, "tiny"))
        return run


def test_a_night_whose_opponent_was_replaced_is_begun_anew_once(tonight):
    """It can promote nothing: without another name every night over these data would fail."""
    store, found = tonight
    crown(store, "a", 1)
    crown(store, "b", 1)
    first = hold_against_the_champion(store, found())
    assert found().name == first.name, "it died, and goes on"
    refs.roll_back(store, "tiny")
    second = found()
    assert second.name != first.name

    run = hold_against_the_champion(store, second)
    assert found().name == second.name
    with run.lease() as lease:
        run.finish(lease, "stays champion")
    refs.roll_back(store, "tiny", to=2)
    assert found().name == second.name, "the champion's own change starts no training"


def decided(store, run, verdict):
    row = dict.fromkeys(DECISION.names, "x")
    row |= {f.name: 0.0 for f in DECISION if f.type == pa.float64()} | {"n": 3, "verdict": verdict}
    with store.attempt(Recipe("decision", "promote", 1, {"run": run.name}, {})) as attempt:
        attempt.write_table("decision", pa.Table.from_pylist([row], schema=DECISION))
        decision = store.commit(attempt, summary={}).ref
    with run.lease() as lease:
        run.record(lease, "promote", {"decision": decision})
        run.finish(lease, "awaits approval" if verdict == "awaiting" else "stays champion")


@pytest.mark.parametrize(("verdict", "anew"), [("awaiting", True), ("kept", False)])
def test_a_night_whose_challenger_can_be_approved_no_more_is_begun_anew(tonight, verdict, anew):
    """Nobody could promote it: without another name every night would say that it awaits a word."""
    store, found = tonight
    crown(store, "a", 1)
    crown(store, "b", 1)
    run = hold_against_the_champion(store, found())
    decided(store, run, verdict)
    assert found().name == run.name, "the word can be given yet"
    refs.roll_back(store, "tiny")
    assert (found().name != run.name) == anew


def test_a_night_that_was_approved_is_over_whatever_became_of_it(tonight):
    store, found = tonight
    crown(store, "a", 1)
    run = hold_against_the_champion(store, found())
    decided(store, run, "awaiting")
    crown(store, run.name, 1)
    assert found().name == run.name
    refs.roll_back(store, "tiny")
    assert found().name == run.name


def test_a_night_that_moved_the_champion_and_died_goes_on_whatever_became_of_it(tonight):
    store, found = tonight
    crown(store, "a", 1)
    first = hold_against_the_champion(store, found())
    crown(store, first.name, 1)
    assert found().name == first.name
    refs.roll_back(store, "tiny")
    assert found().name == first.name, "a person's word ends it"
