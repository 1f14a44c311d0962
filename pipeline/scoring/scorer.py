"""Scores of query-passage pairs: the one scorer of mining and evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from strop.artifacts.schemas import SCORES
from strop.pipeline.arrays import Ints, ModelFloats
from strop.pipeline.config import Reranker
from strop.pipeline.profiling import model_call, model_wait
from strop.pipeline.progress import SILENT, Progress
from strop.pipeline.scoring.batches import Batching, token_budget_batches
from strop.pipeline.scoring.dense_layers import fast_dense_layers
from strop.pipeline.scoring.forward import batch_of, lean_layers, logits
from strop.pipeline.scoring.halving import in_halves
from strop.pipeline.scoring.packing import packs
from strop.pipeline.scoring.pairs import (
    PairLimits,
    PairTokens,
    assemble,
    pair_lengths,
    probe_template,
)
from strop.pipeline.scoring.precision import in_precision, require_finite, resolved_precision
from strop.pipeline.scoring.reranker import LoadedReranker
from strop.pipeline.scoring.tokens import TokenTable


def best_device() -> torch.device:
    """The GPU when there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


@dataclass(frozen=True)
class PairSource:
    """The cached tokens that pairs are put together from."""

    queries: TokenTable
    passages: TokenTable


class Scorer:
    """Scores pairs in token-budget batches, sorted by length within fixed shards.

    Shards, and so batches, depend on the pairs and the config alone: the bits of a score do not
    depend on the number of workers. When the device runs out of memory, the budget is halved.
    """

    def __init__(
        self, reranker: LoadedReranker, source: PairSource | None, config: Reranker
    ) -> None:
        """Move the model to the best device; ``source`` may follow, and change between shards."""
        self._device = best_device()
        self._precision = resolved_precision(config.precision, "reranker.precision")
        self._model = in_precision(reranker.model.to(self._device), self._precision).eval()
        limits = PairLimits(config.max_tokens, config.max_query_tokens)
        self._template = probe_template(reranker.tokenizer, limits)
        self.source = source
        self._config = config
        self._packed = packs(self._model, self._precision)
        self._batching = Batching.on(self._device, config.batch_tokens, padded=not self._packed)

    def score(self, pairs: pa.Table, *, progress: Progress = SILENT) -> Iterator[pa.Table]:
        """Tables of scores, a shard each, for the columns ``query_id`` and ``passage_id``.

        Raises `InputError` where a score is no finite number.
        """
        source = self._read()
        progress.start(pairs.num_rows, "pairs")
        for start in range(0, pairs.num_rows, self._config.shard_pairs):
            shard = pairs.slice(start, self._config.shard_pairs)
            query_rows = source.queries.rows(shard["query_id"])
            passage_rows = source.passages.rows(shard["passage_id"])
            scores = self.score_rows(query_rows, passage_rows, progress=progress)
            yield pa.table(
                [shard["query_id"], shard["passage_id"], pa.array(scores)], schema=SCORES
            )

    def score_rows(
        self, query_rows: Ints, passage_rows: Ints, *, progress: Progress = SILENT
    ) -> ModelFloats:
        """The scores of one shard, given as rows of the cached tokens.

        Raises `InputError` where a score is no finite number.
        """
        source = self._read()
        queries, passages = source.queries.ragged, source.passages.ragged
        scores = np.zeros(len(query_rows), np.float32)
        lengths = pair_lengths(queries, passages, query_rows, passage_rows, template=self._template)
        found: list[tuple[Ints, torch.Tensor]] = []
        with lean_layers(self._model, packed=self._packed), fast_dense_layers(self._model):
            for rows in token_budget_batches(lengths, self._batching):
                pairs = assemble(
                    queries, passages, query_rows[rows], passage_rows[rows], template=self._template
                )
                found.append((rows, self._forward(pairs, np.arange(len(rows)))))
                progress.advance(len(rows))
        # Read last, so that a GPU computes while the next batches are put together.
        with model_wait():
            for rows, logit in found:
                scores[rows] = logit.cpu().numpy()
        require_finite(
            np.isfinite(scores),
            "scores",
            self._precision,
            key="reranker.precision",
            cure="look at the reranker's training log for a diverged loss",
        )
        return scores

    def _read(self) -> PairSource:
        assert self.source is not None, "pairs are scored before their tokens are given"
        return self.source

    def _forward(self, pairs: PairTokens, rows: Ints) -> torch.Tensor:
        def compute(rows: Ints) -> torch.Tensor:
            batch = batch_of(self._model, pairs, rows, pad=self._template.pad, packed=self._packed)
            with torch.inference_mode(), model_call():
                return logits(self._model, batch)

        def halve(rows: Ints) -> None:
            lengths = pairs.tokens.lengths[rows]
            self._batching = self._batching.halved(lengths, self._config.max_tokens)

        return in_halves(compute, rows, when_full=halve)
