from collections.abc import Sequence

from strop.pipeline.reporting.blocks import Block, Grid
from strop.pipeline.reporting.curriculum import RoundWork, curriculum_blocks

ROW = {
    "groups": 200,
    "pairs": 1600,
    "tokens": 70_123,
    "mean_group_size": 8.0,
    "mean_difficulty": 0.25,
    "hard_share": 0.5,
    "medium_share": 0.3,
    "easy_share": 0.2,
    "new_share": None,
    "suspects": 12,
    "unfilled_slots": 3,
    "violation_before": 0.5,
    "violation_after": 0.25,
}


def rows(blocks: Sequence[Block], place: int) -> list[str]:
    grid = blocks[place]
    assert isinstance(grid, Grid)
    return [" ".join(row) for row in grid.rows]


def test_one_line_a_round_and_nothing_new_in_the_first() -> None:
    blocks = curriculum_blocks({2: {**ROW, "new_share": 0.4}, 1: ROW})
    assert rows(blocks, 1) == ["1 200 1,600 70,123 8.0", "2 200 1,600 70,123 8.0"]
    line = "0.25 50% / 30% / 20%"
    assert rows(blocks, 2) == [f"1 {line}  12 3 50% → 25%", f"2 {line} 40% 12 3 50% → 25%"]


def test_what_a_round_cost_stands_beside_what_it_trained() -> None:
    blocks = curriculum_blocks({1: ROW}, {1: RoundWork(seconds=90, stages=9, reused=2)})
    assert rows(blocks, 1) == ["1 200 1,600 70,123 8.0 1.5 2 of 9"]


def test_without_rounds_there_is_no_table() -> None:
    assert curriculum_blocks({1: {}}) == []
