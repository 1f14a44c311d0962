"""What a guard set must have, asked of data sets in a real store."""

from pathlib import Path

import pytest

from strop.pipeline.data.splits import SplitRule
from strop.pipeline.errors import InputError
from strop.tasks.guard import require_judged
from strop.tasks.import_data import beir_request, import_beir_split, import_request
from strop.tasks.stage import Place
from tests.world import tiny_beir


def test_a_split_without_queries_is_refused_with_those_there_are(tmp_path: Path) -> None:
    place = Place(tmp_path / "store", "tiny", "prepare")
    folder = tiny_beir(tmp_path / "data", seed=4, passages=20, train=6, dev=6, test=0)
    whole = import_request.fn(place, beir_request(folder, SplitRule()))
    require_judged(place, whole, "dev")
    with pytest.raises(InputError, match=r"split 'test' has no query; the queries have train"):
        require_judged(place, whole, "test")


def test_one_split_is_another_data_set_than_the_whole_and_the_same_each_time(
    tmp_path: Path,
) -> None:
    place = Place(tmp_path / "store", "tiny", "prepare")
    folder = tiny_beir(tmp_path / "data", seed=4, passages=20, train=6, dev=6, test=6)
    made = import_beir_split.fn(place, folder, "test")
    (folder / "qrels" / "train.tsv").unlink()
    assert import_beir_split.fn(place, folder, "test").data == made
    require_judged(place, made, "test")
    assert place.open().manifest(made).summary["train_queries"] == 0
