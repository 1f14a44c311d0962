"""What people said of suspects, as labels of the next selection: worked examples."""

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import NEGATIVES, QRELS, VERDICTS
from strop.pipeline.config import Mining
from strop.pipeline.mining.negatives import negatives, suspects
from strop.pipeline.mining.pool import window
from strop.pipeline.mining.rows import selection_rows
from strop.pipeline.mining.selection import Selected, select
from strop.pipeline.mining.verdicts import verdict_counts, with_verdicts, without_false_negatives
from tests.pipeline.test_rows import qrels, scores, source
from tests.pipeline.test_selection import TOP, mined, rules, this_round


def verdicts(said: dict[tuple[str, str], str]) -> pa.Table:
    rows = [{"query_id": q, "passage_id": p, "verdict": word} for (q, p), word in said.items()]
    return pa.Table.from_pylist(rows, schema=VERDICTS)


def reviewed(
    said: dict[str, str],
    *,
    passages: str = "abcdef",
    judged: dict[tuple[str, str], float] | None = None,
    reranker: dict[str, float] | None = None,
    teacher: dict[str, float] | None = None,
) -> pa.Table:
    """The rows of query q, whose positive d the first stage ranked fourth, after a review."""
    models = {"reranker_score": reranker, "teacher_score": teacher}
    tables = {
        name: scores({("q", passage): value for passage, value in found.items()})
        for name, found in models.items()
        if found
    }
    grades = qrels({("q", "d"): 1, **(judged or {})})
    rows = selection_rows(
        window([source("first_stage", passages)], pa.array(["q"])),
        scores({("q", "d"): 1 / 4}),
        grades,
        dict(tables),
    )
    return with_verdicts(rows, verdicts({("q", p): word for p, word in said.items()}), grades)


def decided(rows: pa.Table, config: Mining = TOP, *, weight: float = 0.0) -> Selected:
    keys = np.asarray([ord(letter) for letter in rows["passage_id"].to_pylist()], np.int64)
    this = replace(this_round(), group_size=config.group_size, weight=weight)
    return select(rows, keys, None, config, this)


def test_each_verdict_becomes_a_label():
    #   first stage: a 1, b 1/2, c 1/3, the positive d 1/4, e 1/5, f 1/6
    rows = reviewed({"a": "relevant", "b": "not relevant", "c": "unsure"})
    assert verdict_counts(rows) == {"relevant": 1, "not relevant": 1, "unsure": 1}
    table = decided(rows).table
    assert rules(table) == {
        "a": "positive: relevant by verdict",
        "b": "negative: sampled",
        "c": "suspect: unsure by verdict",
        "d": "positive: judged",
        "e": "negative: sampled",
        "f": "skipped: not_sampled",
    }
    assert table["grade"].to_pylist() == [1, 0, None, 1, None, None]


def test_a_relevant_suspect_is_a_training_positive_and_an_unsure_one_stays_a_suspect():
    made = decided(reviewed({"a": "relevant", "b": "not relevant", "c": "unsure"}))
    queries = pa.table({"query_id": ["q"], "weight": pa.array([1.0], pa.float32())})
    (row,) = negatives(made.table, made.group_sizes, queries).to_pylist()
    assert [item["passage_id"] for item in row["positives"]] == ["a", "d"]
    assert [item["passage_id"] for item in row["negatives"]] == ["b", "e"]
    assert suspects(made.table)["passage_id"].to_pylist() == ["c"]


def test_what_nobody_is_sure_of_is_no_negative_however_suspects_are_used():
    said = {"a": "unsure", "b": "unsure", "c": "relevant"}
    for use in ("keep", "down_weight", "drop"):
        found = rules(decided(reviewed(said), mined(suspects=use)).table)
        assert found["a"] == found["b"] == "suspect: unsure by verdict"
        assert found["c"] == "positive: relevant by verdict"


def test_a_relevant_pair_outside_the_window_is_a_positive_without_a_score():
    rows = reviewed(
        {"z": "relevant", "y": "unsure", "x": "not relevant"},
        reranker=dict(zip("abcdef", (5.0, 4, 3, 2, 1, 0), strict=True)),
    )
    assert rows["passage_id"].to_pylist() == ["a", "b", "c", "d", "e", "f", "y", "z"]
    made = decided(rows, weight=1.0)
    found = rules(made.table)
    assert found["z"] == "positive: relevant by verdict"
    assert found["y"] == "suspect: unsure by verdict"
    queries = pa.table({"query_id": ["q"], "weight": pa.array([1.0], pa.float32())})
    (row,) = negatives(made.table, made.group_sizes, queries).to_pylist()
    assert [item["passage_id"] for item in row["positives"]] == ["d", "z"]
    # Hardness is measured from the positives that have a score: e is one below d.
    assert [item["hardness"] for item in row["negatives"]] == [-1.0, -2.0]


def test_a_positive_that_nobody_scored_does_not_move_the_margin():
    # Were z given the first stage's lowest score, 1/6, then e with its 1/5 would be a suspect.
    rows = reviewed({"z": "relevant"})
    weakest = mined(guard={"positive_reference": "weakest"})
    table = decided(rows, weakest).table
    assert rules(table)["z"] == "positive: relevant by verdict"
    assert rules(table)["e"] == "negative: sampled"
    assert (
        dict(zip(table["passage_id"].to_pylist(), table["mining_score"].to_pylist(), strict=True))[
            "z"
        ]
        is None
    )


def test_beside_a_teacher_a_relevant_pair_that_it_did_not_score_is_only_kept_from_the_negatives():
    rows = reviewed(
        {"a": "relevant", "z": "relevant"},
        teacher=dict.fromkeys("abcdef", 1.0),
    )
    found = rules(decided(rows).table)
    assert found["a"] == "positive: relevant by verdict"
    assert found["z"] == "skipped: relevant by verdict, without a teacher's score"


def test_what_the_data_set_has_judged_stays():
    rows = reviewed({"d": "not relevant", "b": "relevant"}, judged={("q", "b"): 0})
    found = rules(decided(rows).table)
    assert found["d"] == "positive: judged"
    assert not found["b"].startswith("positive")


def test_verdicts_of_other_queries_change_nothing():
    plain = decided(reviewed({})).table
    rows = reviewed({})
    other = with_verdicts(
        rows.drop_columns(["verdict"]), verdicts({("r", "a"): "relevant"}), QRELS.empty_table()
    )
    assert decided(other).table.equals(plain)


def entry(passage: str) -> dict[str, Any]:
    return {
        "passage_id": passage,
        "score": 1.0,
        "rank": 1,
        "sampler": "top",
        "hardness": 0.0,
        "weight": 1.0,
        "first_stage_score": None,
        "teacher_score": None,
    }


def test_replayed_negatives_lose_what_people_found_relevant_since():
    def row(query: str, passages: str) -> dict[str, Any]:
        chosen = [entry(passage) for passage in passages]
        size = len(passages) + 1
        more = {"positives": [], "group_size": size, "difficulty": 0.5, "weight": 1.0}
        return {"query_id": query, "negatives": chosen, **more}

    table = pa.Table.from_pylist([row("q", "abc"), row("r", "a"), row("s", "ab")], schema=NEGATIVES)
    said = {
        ("q", "a"): "relevant",
        ("q", "b"): "not relevant",
        ("q", "c"): "unsure",
        ("r", "a"): "unsure",
    }
    left = without_false_negatives(table, verdicts(said)).to_pylist()
    found = {r["query_id"]: "".join(n["passage_id"] for n in r["negatives"]) for r in left}
    assert found == {"q": "b", "s": "ab"}
    assert [r["group_size"] for r in left] == [2, 3]
