"""Which round a report looks at in detail."""

import pytest

from strop.artifacts.manifest import ArtifactRef
from strop.tasks.report import ReportInputs


@pytest.mark.parametrize(
    ("champion", "round_"),
    [
        ((3, "fused"), 3),
        ((0, "fused"), 0),  # the untuned base is champion
        ((0, "first_stage"), 1),  # none was promoted: the last accepted round says why
        (None, 1),  # another run's
    ],
)
def test_the_champions_round_is_looked_at_else_the_one_that_was_held_against_it(champion, round_):
    candidates = ArtifactRef("candidates", "c", "c")
    inputs = ReportInputs("test", {}, {}, candidates, [], champion, "the champion", shown=1)
    assert inputs.looked_at == round_
