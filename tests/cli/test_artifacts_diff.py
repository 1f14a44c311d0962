"""`strop artifacts diff` for people and for scripts."""

from strop.artifacts.runs import Run


def pair(store, role):
    parts = Run(store, "tiny").parts()
    return [parts[f"round-00{number}"][role].id for number in (1, 2)]


def test_a_diff_says_which_negatives_changed(looked_at, artifacts):
    text = artifacts(looked_at, "diff", *pair(looked_at, "negatives")).stdout
    assert "negatives: 4 → 4 rows: 1 added, 1 removed, 3 changed (by query_id, passage_id)" in text
    assert "\n  + q1 p3  score 2, rank 2, sampler mixed" in text
    assert "\n  - q1 p1  score 1, rank 1" in text
    assert "\n  ~ q1 p2  score 1 → 2, rank 2 → 1\n" in text
    assert "positives: 2 rows, all the same" in text


def test_a_diff_says_who_gained(looked_at, artifacts):
    text = artifacts(looked_at, "diff", *pair(looked_at, "metrics_dev")).stdout
    assert "dev fused 6 nDCG@10: 1 gained, 0 lost, 0 the same, mean +0.5000" in text
    assert "    +0.5000  0.5 → 1  q3\n" in text


def test_a_diff_as_json(looked_at, told):
    found = told(looked_at, "diff", *pair(looked_at, "selection"))
    assert found["parameters"] == {"margin": [1.0, 2.0], "round": [1, 2]}
    (selection,) = [table for table in found["tables"] if table["title"] == "selection"]
    assert selection["changed_columns"]["decision"] == 2
    assert selection["moved"][0]["gained"] == 12
