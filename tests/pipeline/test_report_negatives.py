from strop.pipeline.mining.negative_changes import HardNegative, NegativeChanges
from strop.pipeline.mining.samplers import SAMPLERS as DRAW
from strop.pipeline.mining.sampling import IN_BATCH
from strop.pipeline.reporting.blocks import document
from strop.pipeline.reporting.negatives import ALL_FRESH, SAMPLERS, Negatives, negative_blocks

FRESH = NegativeChanges(10, 0, 70, 0, 0, 0, {}, {"top": 35, "uniform": 35})
AGAIN = NegativeChanges(
    10, 8, 70, 20, 36, 36, {"skipped: not_sampled": 30, "suspect: margin": 6}, {"uniform": 35}
)


def test_what_left_is_told_with_its_reason() -> None:
    text = document(negative_blocks(Negatives({1: FRESH, 2: AGAIN})))
    assert "| 2 | 10 | 8 | 20 | 36 | 36 | not drawn 30, suspect: margin 6 |" in text
    assert "| 1 | 70 | 50% | 50% |" in text
    assert "| 2 | 70 | 0% | 50% |" in text


def test_what_drew_the_negatives_has_a_title() -> None:
    text = document(negative_blocks(Negatives({1: FRESH})))
    assert "| round | negatives | hard by the score that mined | random |" in text
    assert SAMPLERS.keys() <= {*DRAW, IN_BATCH, "first_stage"}, "titles of what draws nothing"


def test_fresh_queries_are_told_in_one_sentence() -> None:
    assert ALL_FRESH in document(negative_blocks(Negatives({1: FRESH, 2: FRESH})))
    assert ALL_FRESH not in document(negative_blocks(Negatives({1: FRESH})))


def test_hardest_negatives_show_their_texts() -> None:
    hardest = [HardNegative("q", "p", "n", "uniform", 0.5)]
    data = Negatives({}, hardest, {"q": "a query"}, {"p": "its answer", "n": "<script>no</script>"})
    text = document(negative_blocks(data))
    assert "| a query | its answer | &lt;script>no&lt;/script> |" in text
