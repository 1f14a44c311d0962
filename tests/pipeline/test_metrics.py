import numpy as np
import pyarrow as pa
import pytest
import pytrec_eval

from strop.artifacts.schemas import METRICS_PER_QUERY, METRICS_SUMMARY
from strop.pipeline.errors import InputError
from strop.pipeline.evaluation.metrics import (
    judge,
    metric_label,
    parse_metric,
    per_query_metrics,
    recall_ceiling,
    summarise,
)
from strop.pipeline.evaluation.ranking import build_ranking


def values(rows: pa.Table) -> dict[tuple[str, str], float]:
    keys = zip(rows["metric"].to_pylist(), rows["query_id"].to_pylist(), strict=True)
    return dict(zip(keys, rows["value"].to_pylist(), strict=True))


def test_metrics_by_hand(tables):
    # Reranked order of q1: b, a, c, with the positives a (rank 2) and c (rank 3).
    ranking = build_ranking(
        tables.candidates({"q1": ["a", "b", "c"]}), np.array([2.0, 3.0, 1.0]), 3
    )
    judged = tables.judgements({"q1": {"a": 1, "c": 1}})
    names = ["nDCG@10", "AP", "RR@10", "P@1", "R@2"]
    rows = per_query_metrics(ranking, judged, kind="reranker", depth=3, metrics=names)
    assert rows.schema == METRICS_PER_QUERY
    assert set(rows["depth"].to_pylist()) == {3}
    ideal = 1 + 1 / np.log2(3)
    assert values(rows) == pytest.approx(
        {
            ("nDCG@10", "q1"): (1 / np.log2(3) + 1 / np.log2(4)) / ideal,
            ("MAP", "q1"): (1 / 2 + 2 / 3) / 2,
            ("MRR@10", "q1"): 1 / 2,
            ("P@1", "q1"): 0.0,
            ("R@2", "q1"): 1 / 2,
        }
    )


def test_a_cut_reciprocal_rank_ends_at_the_cutoff(tables):
    ranking = build_ranking(tables.candidates({"q1": [f"p{i}" for i in range(12)]}), None, 12)
    judged = tables.judgements({"q1": {"p10": 1}})
    rows = per_query_metrics(ranking, judged, kind="first_stage", depth=12, metrics=["RR@10", "RR"])
    assert values(rows) == {("MRR@10", "q1"): 0.0, ("MRR", "q1"): 1 / 11}


def test_misses_count_as_zero_and_queries_without_a_positive_are_counted(tables):
    grades = {"hit": {"a": 1}, "missed": {"z": 1}, "nothing": {"a": 1}, "unjudged": {"a": 0}}
    judged = tables.judgements(grades)
    assert judged.query_ids == ("hit", "missed", "nothing")
    assert judged.num_unjudged == 1
    ranking = build_ranking(
        tables.candidates({"hit": ["a"], "missed": ["a", "b"], "unjudged": ["a"]}), None, 1
    )
    rows = per_query_metrics(ranking, judged, kind="first_stage", depth=1, metrics=["nDCG@10"])
    assert rows["value"].to_pylist() == [1.0, 0.0, 0.0]
    summary = summarise(rows, seed=1).to_pylist()
    assert (summary[0]["value"], summary[0]["n"]) == (pytest.approx(1 / 3), 3)


def test_negative_grades_are_no_gain_but_judged(tables):
    # trec_eval itself reads a grade of -2 as unjudged, and would then put b first of the judged.
    ranking = build_ranking(tables.candidates({"q1": ["a", "b"]}), None, 2)
    judged = tables.judgements({"q1": {"a": -2, "b": 2}})
    names = ["nDCG@10", "P(judged_only=True)@1"]
    rows = per_query_metrics(ranking, judged, kind="first_stage", depth=2, metrics=names)
    assert rows["value"].to_pylist() == pytest.approx([1 / np.log2(3), 0.0])


def test_equal_scores_keep_our_order(tables):
    # Of equal scores pytrec-eval would put z first, since it breaks ties by the id, descending.
    found = tables.candidates({"q1": ["a", "z"]}, scores=[5.0, 5.0])
    judged = tables.judgements({"q1": {"a": 1}})
    rows = per_query_metrics(
        build_ranking(found, None, 2), judged, kind="first_stage", depth=2, metrics=["P@1"]
    )
    assert rows["value"].to_pylist() == [1.0]


def test_agreement_with_pytrec_eval_on_graded_judgements(tables):
    rng = np.random.default_rng(3)
    ids = {f"q{i}": [f"p{j}" for j in rng.permutation(40)[:25]] for i in range(30)}
    grades = {
        q: {f"p{j}": int(rng.integers(0, 4)) for j in range(0, 40, 5)} | {"p1": 1} for q in ids
    }
    scores = rng.normal(size=30 * 25)
    ranking = build_ranking(tables.candidates(ids), scores, 25)
    names = ["nDCG@10", "AP", "P@5", "R@20"]
    ours = values(
        per_query_metrics(
            ranking, tables.judgements(grades), kind="reranker", depth=25, metrics=names
        )
    )
    run = {q: {} for q in ids}
    for row in ranking.to_pylist():
        run[row["query_id"]][row["passage_id"]] = row["score"]
    measures = {"nDCG@10": "ndcg_cut_10", "MAP": "map", "P@5": "P_5", "R@20": "recall_20"}
    theirs = pytrec_eval.RelevanceEvaluator(grades, set(measures.values())).evaluate(run)
    assert ours == pytest.approx({(m, q): theirs[q][t] for m, t in measures.items() for q in ids})


def test_the_recall_ceiling_is_the_recall_at_depth(tables):
    ranking = build_ranking(tables.candidates({"q1": ["a", "b", "c"]}), None, 2)
    rows = recall_ceiling(ranking, tables.judgements({"q1": {"b": 1, "c": 1}}), depth=2)
    assert values(rows) == {("R@2", "q1"): 0.5}


@pytest.mark.parametrize(
    "name",
    [
        "nDGC@10",
        "nDCG@",
        "nDCG@0",
        "nDCG@True",
        "",
        "nDCG@10; import os",
        "nDCG(cut=3)",
        "P",
        "nDCG(dcg='x')@10",
    ],
)
def test_a_name_that_is_no_metric_is_refused_by_name(name):
    with pytest.raises(InputError, match="metric "):
        parse_metric(name)


@pytest.mark.parametrize(
    ("name", "label"),
    [("nDCG@10", "nDCG@10"), ("AP", "MAP"), ("MRR@10", "MRR@10"), ("AP(rel=2)@5", "MAP(rel=2)@5")],
)
def test_labels_are_the_familiar_names(name, label):
    assert metric_label(parse_metric(name)) == label


def test_a_split_without_queries_or_positives_is_refused(tables):
    found = tables.queries(["q1"])
    with pytest.raises(InputError, match="split 'gate' has no query; the queries have dev"):
        judge(tables.qrels({"q1": {"a": 1}}), found, split="gate")
    with pytest.raises(InputError, match="of its 1 query none has a qrel with a grade above 0"):
        judge(tables.qrels({"q1": {"a": 0}}), found, split="dev")


def test_an_order_that_is_not_there_yet_is_refused(tables):
    ranking = build_ranking(tables.candidates({"q1": ["a"]}), None, 1)
    with pytest.raises(InputError, match="no fused order yet"):
        per_query_metrics(ranking, tables.judgements({"q1": {"a": 1}}), kind="fused", depth=1)


def test_a_summary_has_one_row_a_metric_and_the_same_interval_every_time(tables):
    noise = np.random.default_rng(0).random(200)
    rows = pa.concat_tables(
        [tables.metric_rows(noise), tables.metric_rows(noise / 2, ranking="reranker")]
    )
    summary = summarise(rows, seed=7)
    assert summary.schema == METRICS_SUMMARY
    assert summary["ranking"].to_pylist() == ["fused", "reranker"]
    assert summary.equals(summarise(rows, seed=7))
    fused = summary.to_pylist()[0]
    error = noise.std() / np.sqrt(200)
    assert fused["value"] == pytest.approx(noise.mean())
    assert fused["ci_low"] == pytest.approx(noise.mean() - 1.96 * error, abs=0.2 * error)
    assert fused["ci_high"] == pytest.approx(noise.mean() + 1.96 * error, abs=0.2 * error)


def test_copies_of_a_query_in_its_group_leave_the_interval_as_wide(tables):
    values = np.random.default_rng(0).random(40)
    single = summarise(tables.metric_rows(values), seed=7).to_pylist()[0]
    groups = [f"g{number // 5}" for number in range(200)]
    copied = tables.metric_rows(np.repeat(values, 5), groups=groups)
    clustered = summarise(copied, seed=7).to_pylist()[0]
    assert (clustered["n"], clustered["value"]) == (200, pytest.approx(single["value"]))
    for bound in ("ci_low", "ci_high"):
        assert clustered[bound] == pytest.approx(single[bound])
