import pytest

from strop.pipeline.errors import counted


@pytest.mark.parametrize(
    ("count", "things", "told"),
    [
        (1, "rows", "1 row"),
        (0, "rows", "0 rows"),
        (2_000, "test queries", "2,000 test queries"),
        (1, "test queries", "1 test query"),
        (1, "loss", "1 loss"),
        (1, "queries with fewer negatives", "1 query with fewer negatives"),
        (1, "queries without judgement", "1 query without judgement"),
        (1, "queries left out as duplicates", "1 query left out as duplicates"),
        (1, "leftovers of stages that were stopped", "1 leftover of stages that were stopped"),
    ],
)
def test_one_of_a_thing_is_said_in_the_singular(count, things, told):
    assert counted(count, things) == told
