import pytest

from strop.pipeline.config import Mining
from strop.pipeline.mining.feedback import Evidence, GroupSize, fed_back


def seen(number: int, metric: float, gap: float) -> Evidence:
    """A round after which dev and the gap of scores moved by so much."""
    return Evidence(number, 0.5, 0.5 + metric, 2.0, 2.0 + gap)


CONSERVATIVE = seen(1, -0.1, 0.3)
ON = Mining(feedback=True, group_size=16)


@pytest.mark.parametrize(
    ("metric", "gap", "expected"),
    [(-0.1, 0.3, True), (0.004, 0.3, True), (0.1, 0.3, False), (-0.1, 0.05, False)],
)
def test_a_round_is_over_conservative_if_only_its_scores_move_apart(
    metric: float, gap: float, expected: bool
) -> None:
    assert seen(1, metric, gap).over_conservative == expected


def test_every_over_conservative_round_takes_a_quarter_from_the_mean_group() -> None:
    better = seen(2, 0.1, 0.3)
    assert fed_back(ON, []) == GroupSize(16)
    assert fed_back(ON, [better]) == GroupSize(16)
    assert fed_back(ON, [CONSERVATIVE, better]) == GroupSize(12, (CONSERVATIVE,))
    worse = seen(3, -0.2, 0.2)
    assert fed_back(ON, [CONSERVATIVE, better, worse]) == GroupSize(9, (CONSERVATIVE, worse))


def test_the_mean_never_falls_below_the_smallest_group() -> None:
    assert fed_back(ON, [CONSERVATIVE] * 20).mean == 2
    bounded = Mining(feedback=True, group_size=16, group_size_min=14)
    assert fed_back(bounded, [CONSERVATIVE]).mean == 14


def test_without_feedback_nothing_changes_and_nothing_is_recorded() -> None:
    size = fed_back(Mining(group_size=16), [CONSERVATIVE])
    assert size == GroupSize(16)
    assert size.parameters() == {"group_size": 16}


def test_the_evidence_is_recorded_beside_the_size() -> None:
    assert fed_back(ON, [CONSERVATIVE]).parameters() == {
        "group_size": 12,
        "feedback": [
            {
                "round": 1,
                "metric_before": 0.5,
                "metric_after": 0.4,
                "gap_before": 2.0,
                "gap_after": 2.3,
            }
        ],
    }
