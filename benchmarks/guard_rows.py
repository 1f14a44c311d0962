"""Candidates and known positives of a fully judged data set, scored for the guard benchmark."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from reduced_truth import Truth

from strop.pipeline.arrays import Floats, Ints
from strop.pipeline.config import BUNDLED, BiEncoder, Reranker
from strop.pipeline.first_stage.encoding import Encoder
from strop.pipeline.models import resolve_model

DEPTH = 50


@dataclass(frozen=True)
class Rows:
    """Candidates and kept positives of a split in parallel columns, sorted by query."""

    codes: Ints
    passages: Ints
    positive: Any
    hidden: Any
    in_window: Any
    scores: dict[str, Floats]
    seen: Any
    """Whether the reranker was trained on the row's query; None where nobody told."""

    @property
    def num_queries(self) -> int:
        """The number of queries."""
        return int(self.codes.max()) + 1

    @property
    def candidate(self) -> Any:
        """Which rows may become negatives."""
        return self.in_window & ~self.positive


def rows_of(truth: Truth, reranker: str | None, trained_on: Path | None) -> Rows:
    """The `DEPTH` candidates of each query by cosine and its kept positives, all scored."""
    encoder = Encoder(resolve_model(BUNDLED), BiEncoder())
    cosines = encoder.encode(truth.queries, prompt="") @ encoder.encode(truth.passages, prompt="").T
    found = np.zeros(cosines.shape, bool)
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :DEPTH]
    np.put_along_axis(found, best, True, axis=1)
    codes, passages = np.nonzero(found | truth.kept)
    at = (codes, passages)
    scores = {"cosine": cosines[at].astype(np.float64)}
    if reranker:
        scores["reranker"] = reranker_scores(truth, codes, passages, reranker)
    hidden = (truth.relevant & ~truth.kept)[at]
    seen = None if trained_on is None else seen_queries(truth, trained_on)[codes]
    return Rows(codes, passages, truth.kept[at], hidden, found[at], scores, seen)


def seen_queries(truth: Truth, negatives: Path) -> Any:
    """Which queries have a row in a table of negatives; bool a query."""
    trained = pq.read_table(negatives, columns=["query_id"])["query_id"]
    found = pc.is_in(pa.array(truth.query_ids), value_set=pc.unique(trained.cast(pa.string())))
    return found.to_numpy(zero_copy_only=False)


def reranker_scores(truth: Truth, codes: Ints, passages: Ints, name: str) -> Floats:
    """The logits of a one-logit cross-encoder."""
    from strop.pipeline.scoring.reranker import load_reranker
    from strop.pipeline.scoring.scorer import PairSource, Scorer
    from strop.pipeline.scoring.tokens import TokenTable, tokenize

    config = Reranker(base=name, max_tokens=128)
    loaded = load_reranker(resolve_model(name).path)
    source = PairSource(
        TokenTable(
            tokenize(loaded.tokenizer, pa.chunked_array([truth.query_ids]), truth.queries, 64)
        ),
        TokenTable(
            tokenize(loaded.tokenizer, pa.chunked_array([truth.passage_ids]), truth.passages, 128)
        ),
    )
    return Scorer(loaded, source, config).score_rows(codes, passages).astype(np.float64)
