"""Folds in a real run: nobody who mines or judges a query was trained on it."""

import pyarrow.parquet as pq
import pytest


def column(project, artifact, table):
    """The query ids of an artifact's table."""
    (path,) = project.store.glob(f"objects/*/{artifact}/*/{table}.parquet")
    return set(pq.read_table(path, columns=["query_id"])["query_id"].to_pylist())


def trained_on(project, manifests, reranker):
    """The queries that a reranker and all that it started from were trained on."""
    inputs = manifests[reranker]["inputs"]
    if "negatives" not in inputs:
        return set()
    own = column(project, inputs["negatives"]["id"], "negatives")
    return own | trained_on(project, manifests, inputs["reranker"]["id"])


@pytest.mark.slow
def test_nobody_who_mines_or_judges_a_query_was_trained_on_it(project):
    guard = {"judges": ["mining", "earlier_round"], "margin": -4.0}
    config = project.config(rounds=3, decision={"tolerance": 1.0}, mining={"guard": guard})
    done = project.strop("run", config)
    assert done.returncode == 0, done.stderr
    manifests = {found["id"]: found for found in project.manifests().values()}
    by_role = {}
    for manifest in manifests.values():
        if manifest["kind"] == "selection":
            for role, ref in manifest["inputs"].items():
                if "scores" in role:
                    by_role.setdefault(role, set()).add(ref["id"])
    folds = {"scores_1", "scores_2", "earlier_scores_1", "earlier_scores_2"}
    assert folds <= by_role.keys(), "round 3 is mined and judged in folds"
    tuned = 0
    for scores in set.union(*by_role.values()):
        reranker = manifests[scores]["inputs"]["reranker"]["id"]
        seen = trained_on(project, manifests, reranker)
        assert not seen & column(project, scores, "scores")
        tuned += bool(seen)
    assert tuned >= 4
    # Another choice finds the scores of all folds again.
    found = project.json("mine", "tiny", "--round", "3", "--set", "guard.margin=-4.0")
    assert found["moved"] == 0
