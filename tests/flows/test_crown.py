"""A decision moves the champion once, and a person hears of it when it does not."""

import pytest

from strop.artifacts import refs
from strop.artifacts.errors import Conflict
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.flows.promote import second_word
from strop.flows.session import Session
from strop.pipeline.config import Config
from strop.pipeline.errors import InputError


@pytest.fixture
def session(tmp_path):
    run = Run(Store(tmp_path / "store"), "tiny")
    with run.lease() as lease:
        yield Session(Config(name="tiny"), run, lease)


def moves_of_a_run(first, won):
    """The champions of a run: before its gate, and after it, by these decisions."""
    made = {"kind": "reranker", "id": "abc"}
    return (
        {"run": "tiny", "round": 0, "reranker": None, "decision": first, "name": "the first stage"},
        {"run": "tiny", "round": 1, "reranker": made, "decision": won, "name": "round 1"},
    )


def test_a_decision_moves_the_champion_once_and_says_the_way_back(session):
    first, won = moves_of_a_run("d0", "d1")
    assert session.crown(first)
    assert session.crown(won)
    assert not session.crown(won)
    assert second_word(session, won) == "champion already, since move 2"

    refs.roll_back(session.store, "tiny")
    assert not session.crown(won), "a resumed run leaves a rollback as it is"
    with pytest.raises(InputError) as refused:
        second_word(session, won)
    assert str(refused.value) == (
        "run tiny: was promoted by move 2, and the first stage is champion since move 3; "
        "`strop champion rollback tiny --to 2` makes it champion again"
    )
    refs.roll_back(session.store, "tiny", to=2)
    assert second_word(session, won) == "champion already, since move 2"


def test_a_finished_run_whose_decisions_are_made_again_moves_nothing(session):
    """A newer version may make them under other ids; the first stage must not come back."""
    before, after = moves_of_a_run("d0", "d1"), moves_of_a_run("e0", "e1")
    assert all(map(session.crown, before))
    assert not any(map(session.crown, after))
    assert session.champion()["name"] == "round 1"
    assert second_word(session, after[1]) == "champion already, since move 2"

    refs.roll_back(session.store, "tiny")
    assert not any(map(session.crown, after)), "nor does it undo a person's word"
    fresh = {**before[0], "decision": None}
    assert not session.crown(fresh), "of a fresh head no decision was made"
    another = {**after[1], "reranker": {"kind": "reranker", "id": "def"}, "decision": "f1"}
    assert session.crown(another), "a reranker that was trained anew is another one"


def test_a_first_champion_without_a_decision_is_not_another_runs(session):
    theirs = {"run": "other", "round": 0, "reranker": None, "decision": None, "name": "theirs"}
    refs.move(session.store, refs.read(session.store, "tiny"), theirs)
    ours = {**theirs, "run": "tiny"}
    session.run.opponent(session.lease, refs.Ref("tiny", 0, None))
    with pytest.raises(Conflict, match="another run has made theirs champion since"):
        session.crown(ours)
