import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.pipeline.config import Training
from strop.pipeline.training.schedule import learning_rate_factor


def factors(config: Training, *, rounds: int, steps: int) -> list[float]:
    """The factors of all rounds, one after the other."""
    return [
        factor(step)
        for number in range(1, rounds + 1)
        for factor in [
            learning_rate_factor(config, round_number=number, rounds=rounds, steps=steps)
        ]
        for step in range(steps)
    ]


def test_linear_by_hand() -> None:
    # 4 steps in all, in the middle of which 1/8, 3/8, 5/8 and 7/8 are done.
    found = factors(Training(schedule="linear", warmup_share=0.0), rounds=2, steps=2)
    assert found == [0.875, 0.625, 0.375, 0.125]


def test_warm_up_by_hand() -> None:
    found = factors(Training(schedule="constant", warmup_share=0.5), rounds=1, steps=4)
    assert found == [0.25, 0.75, 1.0, 1.0]


def test_the_course_begins_where_the_warm_up_ends() -> None:
    found = factors(Training(schedule="linear", warmup_share=0.5), rounds=1, steps=4)
    assert found == [0.25, 0.75, 0.75, 0.25]


def test_cosine_by_hand() -> None:
    found = factors(Training(schedule="cosine", warmup_share=0.0), rounds=1, steps=1)
    assert found == [pytest.approx(0.5)]


@settings(max_examples=40, deadline=None)
@given(
    schedule=st.sampled_from(["constant", "linear", "cosine"]),
    warmup=st.floats(0, 0.9),
    rounds=st.integers(1, 5),
    steps=st.integers(1, 20),
)
def test_rounds_share_one_schedule(schedule: str, warmup: float, rounds: int, steps: int) -> None:
    config = Training.model_validate({"schedule": schedule, "warmup_share": warmup})
    found = factors(config, rounds=rounds, steps=steps)
    assert found == pytest.approx(factors(config, rounds=1, steps=rounds * steps))
    peak = found.index(max(found))
    assert found[: peak + 1] == sorted(found[: peak + 1])
    assert found[peak:] == sorted(found[peak:], reverse=True)
    assert all(0 < factor <= 1 for factor in found)
