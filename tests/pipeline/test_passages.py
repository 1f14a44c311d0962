"""Passages as they come: one by one or by column, checked across batches, written in order."""

from collections.abc import Callable

import pyarrow as pa
import pytest

from strop.artifacts.schemas import CORPUS
from strop.pipeline.data import passage_batch, passages
from strop.pipeline.data.behind import Behind
from strop.pipeline.data.passages import Passages
from strop.pipeline.data.text_files import Place
from strop.pipeline.data.validation import Defects


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passage_batch, "ROWS", 3)
    monkeypatch.setattr(passages, "BATCH_ROWS", 10)


def columns(ids: range) -> pa.Table:
    texts = [[f"p{n}" for n in ids], ["T"] * len(ids), [f"text {n}" for n in ids]]
    return pa.table(texts, names=CORPUS.names[:3])


def read(write: Callable[[pa.Table], object], *, repeats: bool = False) -> Passages:
    """Lines 1 to 8 by column, 9 to 15 one by one, 16 to 25 by column; the last ones come again."""
    found, place = Passages(Defects(), write, repeats), Place("corpus.jsonl")
    found.add_all(place, columns(range(1, 9)))
    for number in range(9, 16):
        place.number += 1
        found.add(place, f"p{number}", f"text {number}", "T", None)
    found.add_all(place, columns(range(16, 26)))
    assert place.number == 25
    return found


def test_all_are_written_in_their_order() -> None:
    batches: list[pa.Table] = []
    found = read(batches.append)
    found.finish()
    written = pa.concat_tables(batches)
    assert written.schema == CORPUS
    assert written["passage_id"].to_pylist() == [f"p{n}" for n in range(1, 26)]
    assert written["text"].to_pylist() == [f"text {n}" for n in range(1, 26)]
    assert written["parent_id"].null_count == len(found) == 25
    assert found.known(["p1", "p9", "p25", "p26"]).tolist() == [True, True, True, False]


@pytest.mark.parametrize("number", [2, 12, 24])
def test_what_comes_again_is_told_with_its_line(number: int) -> None:
    for by_column in (True, False):
        found, place = read(lambda table: None), Place("more.jsonl", number=4)
        if by_column:
            found.add_all(place, columns(range(number - 1, number + 1)))
        else:
            place.number = 6
            found.add(place, f"p{number}", "another text")
        found.finish()
        (report,) = found.defects.report()
        assert f"more.jsonl line 6: passage id 'p{number}' was used" in report["examples"][-1]


def test_the_same_text_again_is_one_passage_where_rows_repeat() -> None:
    batches: list[pa.Table] = []
    found = read(batches.append, repeats=True)
    found.add_all(Place("more.jsonl"), columns(range(10, 30)))
    found.finish()
    assert sum(map(len, batches)) == len(found) == 29
    assert (found.merged, found.defects.lines()) == (16, [])


def test_a_title_as_a_text_is_another_text() -> None:
    found = read(lambda table: None)
    place = Place("more.jsonl", number=1)
    found.add(place, "new", "T", "text 3")
    found.add(place, "same", "text 3", "T")
    found.finish()
    assert found.duplicate_texts == 1
    assert found.share_text(["p3", "same", "new", "p4"]).tolist() == [True, True, False, False]


def test_what_the_writer_raises_in_its_thread_is_raised() -> None:
    def write(table: pa.Table) -> None:
        raise OSError("no space left")

    with Behind() as behind:
        found = Passages(Defects(), write, writing=behind)
        found.add(Place("corpus.jsonl"), "p", "text")
        with pytest.raises(OSError, match="no space left"):
            found.finish()
