from pathlib import Path

import pyarrow as pa
import pytest

from strop.pipeline.data.truncation import Truncation
from strop.pipeline.data.validation import Defects
from strop.pipeline.errors import InputError
from tests.world import COMMON


def corpus(*lengths: int) -> pa.Table:
    texts = [" ".join(COMMON[:1] * (length - 1)) for length in lengths]
    ids = [f"p{length}" for length in lengths]
    return pa.table({"passage_id": ids, "title": COMMON[1:2] * len(ids), "text": texts})


def test_passages_over_the_limit_are_counted_with_what_they_lose(reranker_folder: Path) -> None:
    lengths, defects = Truncation(str(reranker_folder), 10), Defects()
    lengths.measure(corpus(9, 10, 11))
    lengths.measure(corpus(14, 12))
    assert sorted(lengths.cut) == [1, 2, 4]
    lengths.warn(defects, "data")
    (line,) = defects.warnings()
    assert "data: 3 passages (60.0%) have more than 10 tokens" in line
    assert "half of them lose 2 or more, passage 'p14' loses 4" in line
    assert defects.lines() == []


def test_none_over_the_limit_is_no_warning(reranker_folder: Path) -> None:
    lengths, defects = Truncation(str(reranker_folder), 10), Defects()
    lengths.measure(corpus(9, 10))
    lengths.warn(defects, "data")
    assert defects.report() == []


def test_a_model_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json"):
        Truncation(str(tmp_path), 10)
