from strop.pipeline.reporting.blocks import Grid
from strop.pipeline.reporting.curriculum import curriculum_blocks

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


def test_one_line_a_round_and_nothing_new_in_the_first() -> None:
    grid = curriculum_blocks({2: {**ROW, "new_share": 0.4}, 1: ROW})[1]
    assert isinstance(grid, Grid)
    line = "200 1,600 70,123 8.0 0.25 50% / 30% / 20%"
    assert " ".join(grid.rows[0]) == f"1 {line}  12 3 50% → 25%"
    assert " ".join(grid.rows[1]) == f"2 {line} 40% 12 3 50% → 25%"


def test_without_rounds_there_is_no_table() -> None:
    assert curriculum_blocks({1: {}}) == []
