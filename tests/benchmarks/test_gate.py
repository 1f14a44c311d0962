"""The simulation of the gate: promotions where the true gain is known, by strop's own decisions."""

import pytest

from benchmarks.gate import Bench, World, simulate
from strop.pipeline.evaluation.decision import DecisionRule

NIGHTS, QUERIES, RUNS = 12, 200, 4


@pytest.fixture(scope="module")
def counted():
    """Counts of some runs, summed, by the way of deciding and the true gain."""
    world, rule = World(0.13), DecisionRule(samples=200)

    def count(way, gain):
        benches = [Bench(world, rule, 1000 * number) for number in range(RUNS)]
        return [simulate(b, way, gain=gain, queries=QUERIES, nights=NIGHTS) for b in benches]

    return count


def test_without_a_gain_the_gate_promotes_seldom_and_dev_alone_on_many_nights(counted):
    gate = sum(run.false for run in counted("gate", 0.0))
    untested = sum(run.false for run in counted("dev, no test", 0.0))
    assert gate <= 0.1 * RUNS * NIGHTS
    assert untested > 3 * gate


def test_a_gain_that_the_split_can_show_is_promoted_once_and_then_nothing_better_comes(counted):
    runs = counted("gate", 0.05)
    assert all(run.promoted for run in runs)
    assert sum(run.missed for run in runs) <= 0.25 * RUNS * NIGHTS
    assert all(run.quality == pytest.approx(0.65) for run in runs)
