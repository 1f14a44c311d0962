"""A decision moves the champion once, and a person hears of it when it does not."""

import pytest

from strop.artifacts import refs
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


def test_a_decision_moves_the_champion_once_and_says_the_way_back(session):
    first = {"run": "tiny", "decision": "d0", "name": "the first stage"}
    won = {"run": "tiny", "decision": "d1", "name": "round 1"}
    assert session.crown(first)
    assert session.crown(won)
    assert not session.crown(won)
    assert second_word(session, "d1") == "champion already, since move 2"

    refs.roll_back(session.store, "tiny")
    assert not session.crown(won), "a resumed run leaves a rollback as it is"
    with pytest.raises(InputError) as refused:
        second_word(session, "d1")
    assert str(refused.value) == (
        "run tiny: was promoted by move 2, and the first stage is champion since move 3; "
        "`strop champion rollback tiny --to 2` makes it champion again"
    )
    refs.roll_back(session.store, "tiny", to=2)
    assert second_word(session, "d1") == "champion already, since move 2"
