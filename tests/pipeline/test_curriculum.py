import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strop.pipeline.mining.curriculum import Course, epoch_order, hardness_of_round

COURSES: list[Course] = ["linear", "root", "step", "none"]


@pytest.mark.parametrize(
    ("course", "expected"),
    [
        ("linear", [0, 0.25, 0.5, 0.75, 1, 1]),
        ("root", [0, 0.5, 0.5**0.5, 0.75**0.5, 1, 1]),
        ("step", [0, 0, 1, 1, 1, 1]),
        ("none", [1, 1, 1, 1, 1, 1]),
    ],
)
def test_the_hardness_of_five_rounds_and_one_beyond(course: Course, expected: list[float]) -> None:
    found = [hardness_of_round(course, number, 5) for number in range(1, 7)]
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("course", COURSES)
def test_a_single_round_is_hard_at_once(course: Course) -> None:
    assert hardness_of_round(course, 1, 1) == 1


def test_without_a_course_an_epoch_is_a_plain_permutation() -> None:
    found = epoch_order(np.arange(50.0), "none", np.random.default_rng(4))
    assert found.tolist() == np.random.default_rng(4).permutation(50).tolist()


def test_a_line_never_reaches_past_its_competence() -> None:
    order = epoch_order(np.arange(1000)[::-1] / 1000, "linear", np.random.default_rng(0))
    places = 999 - order  # how many queries are easier
    reach = np.ceil((0.1 + 0.9 * np.arange(1000) / 1000) * 1000)
    assert (places < reach).all()
    assert np.corrcoef(places, np.arange(1000))[0, 1] > 0.9


def test_a_root_mixes_more_than_a_line_and_both_begin_with_the_easiest() -> None:
    def sortedness(course: Course) -> float:
        order = epoch_order(np.arange(2000.0), course, np.random.default_rng(1))
        assert order[:20].max() < 600
        return float(np.corrcoef(order, np.arange(2000))[0, 1])

    assert 0.2 < sortedness("root") < sortedness("linear")


def test_a_step_takes_the_easier_half_first_in_no_order() -> None:
    order = epoch_order(np.arange(101.0), "step", np.random.default_rng(0))
    assert set(order[:51].tolist()) == set(range(51))
    assert order[:51].tolist() != sorted(order[:51])
    assert order[51:].tolist() != sorted(order[51:])


def test_queries_of_equal_difficulty_are_in_no_order() -> None:
    order = epoch_order(np.zeros(200), "linear", np.random.default_rng(0))
    assert abs(np.corrcoef(order, np.arange(200))[0, 1]) < 0.3


@settings(max_examples=60, deadline=None)
@given(
    difficulty=st.lists(st.floats(0, 1), max_size=40),
    course=st.sampled_from(COURSES),
    seed=st.integers(0, 5),
)
def test_an_epoch_has_every_query_once(difficulty: list[float], course: Course, seed: int) -> None:
    values = np.asarray(difficulty, float)
    order = epoch_order(values, course, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(difficulty)))
    again = epoch_order(values, course, np.random.default_rng(seed))
    assert order.tolist() == again.tolist()
