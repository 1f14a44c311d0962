"""What is said of a round whose negatives cannot be chosen again."""

import pytest

from strop.artifacts.errors import NotFound
from strop.artifacts.store import Store
from strop.flows.mine import recorded_selection
from strop.pipeline.config import Config


@pytest.mark.parametrize(
    ("number", "words"),
    [(2, "round 2 has not been mined yet; strop round CONFIG --round 2 does it$"),
     (7, "run tiny: has rounds 1 to 2, not 7$"), (0, "not 0$")],
)  # fmt: skip
def test_a_round_that_is_to_come_is_told_from_one_that_never_is(tmp_path, number, words):
    config = Config.model_validate({"name": "tiny", "rounds": 2})
    with pytest.raises(NotFound, match=words):
        recorded_selection(Store(tmp_path / "store"), config, number)
