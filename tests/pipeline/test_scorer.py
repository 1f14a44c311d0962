from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from strop.artifacts.schemas import SCORES
from strop.pipeline.config import Reranker
from strop.pipeline.errors import InputError
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.scoring.scorer import Scorer
from strop.pipeline.scoring.tokens import TokenTable, count_at_limit, tokenize
from tests.world import WORDS, pair_source

CONFIG = Reranker(max_tokens=64, max_query_tokens=16)


def texts(name: str, count: int, longest: int) -> dict[str, str]:
    random = np.random.default_rng(len(name))
    return {
        f"{name}{i}": " ".join(random.choice(WORDS, random.integers(1, longest)))
        for i in range(count)
    }


QUERIES, PASSAGES = texts("query", 6, 14), texts("passage", 40, 45)
PAIRS = pa.table(
    {
        "query_id": [query for query in QUERIES for _ in PASSAGES],
        "passage_id": [passage for _ in QUERIES for passage in PASSAGES],
    }
)


def scores(folder: Path, config: Reranker = CONFIG, pairs: pa.Table = PAIRS) -> np.ndarray:
    loaded = load_reranker(folder)
    source = pair_source(loaded.tokenizer, QUERIES, PASSAGES)
    tables = list(Scorer(loaded, source, config).score(pairs))
    table = pa.concat_tables(tables)
    assert table.schema == SCORES
    assert table.select(["query_id", "passage_id"]).to_pylist() == pairs.to_pylist()
    return table["score"].to_numpy()


@pytest.fixture(scope="module")
def plain(reranker_folder: Path) -> np.ndarray:
    """Scores by one plain forward a pair, in the order of the pairs."""
    model = AutoModelForSequenceClassification.from_pretrained(reranker_folder).eval()
    tokenizer = AutoTokenizer.from_pretrained(reranker_folder)
    found = []
    with torch.inference_mode():
        for row in PAIRS.to_pylist():
            pair = tokenizer(
                QUERIES[row["query_id"]],
                PASSAGES[row["passage_id"]],
                truncation="only_second",
                max_length=CONFIG.max_tokens,
                return_tensors="pt",
            )
            found.append(model(**pair).logits[0, 0].item())
    return np.asarray(found, np.float32)


def test_scores_equal_a_plain_forward_in_the_order_of_the_pairs(
    reranker_folder: Path, plain: np.ndarray
) -> None:
    assert np.ptp(plain) > 0.01  # a constant would pass in any order
    np.testing.assert_allclose(scores(reranker_folder), plain, atol=1e-5)


@pytest.mark.parametrize(("batch_tokens", "shard_pairs"), [(64, 64), (300, 100), (100_000, 10_000)])
def test_scores_do_not_depend_on_budget_or_shards(
    reranker_folder: Path, plain: np.ndarray, batch_tokens: int, shard_pairs: int
) -> None:
    config = CONFIG.model_copy(update={"batch_tokens": batch_tokens, "shard_pairs": shard_pairs})
    np.testing.assert_allclose(scores(reranker_folder, config), plain, atol=1e-5)


def test_scores_do_not_depend_on_the_order_of_the_pairs(
    reranker_folder: Path, plain: np.ndarray
) -> None:
    order = np.random.default_rng(0).permutation(PAIRS.num_rows)
    np.testing.assert_allclose(
        scores(reranker_folder, pairs=PAIRS.take(order)), plain[order], atol=1e-5
    )


def test_the_same_shard_has_the_same_bits(reranker_folder: Path) -> None:
    assert scores(reranker_folder).tobytes() == scores(reranker_folder).tobytes()


def test_a_shard_has_the_same_bits_alone(reranker_folder: Path) -> None:
    config = CONFIG.model_copy(update={"shard_pairs": 80})
    whole = scores(reranker_folder, config)
    alone = scores(reranker_folder, config, PAIRS.slice(80, 80))
    assert whole[80:160].tobytes() == alone.tobytes()


def test_an_unknown_passage_is_named(reranker_folder: Path) -> None:
    pairs = pa.table({"query_id": ["query0"], "passage_id": ["passage77"]})
    with pytest.raises(KeyError, match="no tokens of 'passage77'"):
        scores(reranker_folder, pairs=pairs)


def test_tokens_are_cut_at_their_limit_and_counted(reranker_folder: Path) -> None:
    tokenizer = load_reranker(reranker_folder).tokenizer
    ids, words = pa.chunked_array([["a", "b", "c"]]), ["balo", " ".join(WORDS[:9]), "balo bami"]
    table = tokenize(tokenizer, ids, words, 2)
    assert table["token_ids"].to_pylist() == [[5], [5, 6], [5, 6]]
    assert count_at_limit(table, 2) == 2


def test_only_the_wanted_tokens_are_kept(reranker_folder: Path) -> None:
    tokenizer = load_reranker(reranker_folder).tokenizer
    ids = pa.chunked_array([["a", "b", "c"]])
    table = tokenize(tokenizer, ids, ["balo", "bami", "balo bami"], 8)
    kept = TokenTable.of([table.slice(0, 2), table.slice(2)], pa.array(["c", "a"]))
    assert kept.ids.to_pylist() == ["a", "c"]
    assert [kept.ragged.row(row).tolist() for row in kept.rows(pa.array(["c", "a"]))] == [
        [5, 6],
        [5],
    ]


def test_scores_in_16_bits_are_close_and_leave_the_model_as_it_was(
    reranker_folder: Path, plain: np.ndarray
) -> None:
    loaded = load_reranker(reranker_folder)
    source = pair_source(loaded.tokenizer, QUERIES, PASSAGES)
    queries, passages = np.repeat(np.arange(6), 40), np.tile(np.arange(40), 6)
    half = CONFIG.model_copy(update={"precision": "bf16"})
    found = Scorer(loaded, source, half).score_rows(queries, passages)
    assert np.corrcoef(found, plain)[0, 1] > 0.99
    assert np.abs(found - plain).max() > 1e-4, "they are no fp32 scores"
    assert {weight.dtype for weight in loaded.model.parameters()} == {torch.float32}
    again = Scorer(loaded, source, CONFIG).score_rows(queries, passages)
    np.testing.assert_allclose(again, plain, atol=1e-5)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_score_that_is_no_number_ends_with_one_line(
    reranker_folder: Path, precision: str
) -> None:
    loaded = load_reranker(reranker_folder)
    source = pair_source(loaded.tokenizer, QUERIES, PASSAGES)
    with torch.no_grad():
        loaded.model.classifier.weight[0, 0] = np.inf
    config = CONFIG.model_copy(update={"precision": precision})
    rows = np.arange(3)
    line = f"^reranker.precision: 3 of 3 scores that the model gave in {precision} are no finite"
    with pytest.raises(InputError, match=line):
        Scorer(loaded, source, config).score_rows(rows, rows)
