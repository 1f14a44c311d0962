import pytest

from strop.artifacts.manifest import ArtifactRef
from strop.pipeline.errors import InputError
from strop.tasks.review import find_verdicts, keep_verdicts
from strop.tasks.stage import Place
from tests.review_world import mined_run


@pytest.fixture
def run(tmp_path):
    return mined_run(tmp_path / "store")


def found(run, artifact_id: str) -> ArtifactRef:
    dataset = run.parts()["prepare"]["dataset"]
    return find_verdicts.fn(Place(run.store.root, "small", "prepare"), artifact_id, dataset)


def kept(run, *pair: str) -> ArtifactRef:
    return keep_verdicts(Place(run.store.root, "small", "review"), {pair: "relevant"})


def test_a_run_finds_verdicts_by_the_first_digits_of_their_id(run):
    ref = kept(run, "q1", "p2")
    assert found(run, ref.id[:8]) == found(run, ref.id) == ref
    assert kept(run, "q1", "p2") == ref


def test_verdicts_that_a_run_cannot_take_are_refused(run):
    with pytest.raises(InputError, match=r"^mining\.verdicts: artifact 'abcdef0': none in the"):
        found(run, "abcdef0")
    dataset = run.parts()["prepare"]["dataset"]
    with pytest.raises(
        InputError, match=r"^mining\.verdicts: .* is a dataset artifact, expected v"
    ):
        found(run, dataset.id)
    other = kept(run, "q1", "p99")
    with pytest.raises(InputError, match="query 'q1' and passage 'p99', which are not both"):
        found(run, other.id)
