"""Promotions over guard sets, with rerankers of other origin beside the rounds."""

import shutil

import pytest

from strop.artifacts import refs
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from tests.end_to_end.conftest import Project
from tests.end_to_end.test_bad_input import refused
from tests.world import tiny_beir, tiny_model

LENIENT = {"alpha": 0.45, "min_gate_queries": 5}
"""A level at which ten random queries promote: what is tested is what follows."""


@pytest.fixture(scope="module")
def guarded(finished, tmp_path_factory):
    """A copy of the finished project, with a guard set of another corpus and a reranker."""
    theirs, folder = finished[0], tmp_path_factory.mktemp("guarded")
    shutil.copytree(theirs.store, folder / ".strop")
    for name in ("encoder", "data"):
        (folder / name).symlink_to(theirs.folder / name)
    tiny_beir(folder / "guard", seed=9, train=0, dev=0, test=30, passages=60)
    tiny_model(folder / "shelf", seed=7, one_logit=True)
    return Project(folder, theirs.environment)


def config(project, name, decision, **changes):
    """A config of another name, which finds all that the finished run made."""
    guard = {"name": "other", "dataset": str(project.folder / "guard")}
    rule = {**LENIENT, "guard_sets": [guard], **decision}
    changes["dataset"] = str((project.folder / "data").resolve())
    file = project.folder / project.config(f"{name}.yaml", decision=rule, **changes)
    file.write_text(file.read_text().replace("name: tiny\n", f"name: {name}\n"))
    return file


def decisions(project, name):
    store = Store(project.store)
    return store.table(Run(store, name).parts()["promote"]["decision"], "decision").to_pylist()


def test_a_gain_on_the_gate_that_breaks_a_guard_set_is_kept_out(guarded):
    done = guarded.strop("run", config(guarded, "kept", {}))
    assert done.returncode == 0, done.stderr
    promotion, guard = decisions(guarded, "kept")
    assert (promotion["verdict"], guard["verdict"]) == ("kept", "broken")
    assert promotion["difference"] > 0 > guard["ci_low"] + 0.02
    text = " ".join(done.stdout.split())
    beyond = f"{-0.02 - guard['ci_low']:.3f} below the tolerated -0.020: the first stage stays"
    assert "but guard set other broken with" in text
    assert beyond in text
    assert refs.read(Store(guarded.store), "kept").value["name"] == "the first stage"
    report = Run(Store(guarded.store), "kept").parts()["assess"]["report"]
    assert "on guard set other (test)" in Store(guarded.store).file(report, "report.md").read_text()


@pytest.mark.slow
def test_one_that_holds_is_promoted_beside_the_champion_of_another_run(guarded):
    store = Store(guarded.store)
    old = Run(store, "tiny").parts()["round-001"]["reranker"]
    value = {"run": "tiny", "round": 1, "name": "round 1 of tiny", "ranking": "fused"}
    refs.move(store, refs.read(store, "shared"), {**value, "reranker": vars(old), "weight": 1.0,
              "decision": "none"})  # fmt: skip
    shelf = {"off_the_shelf": str(guarded.folder / "shelf")}
    file = config(guarded, "held", {"champion": "shared"}, evaluation=shelf)
    results = guarded.json("run", file)
    promotion, guard = decisions(guarded, "held")
    assert (promotion["verdict"], guard["verdict"]) == ("promoted", "held")
    assert "; guard set other held with" in results["decision"]
    assert results["champion"]["name"] == "round 2 of held"
    rows = [row for row in results["outside"] if row["metric"] == "nDCG@10"]
    assert [(row["name"], row["role"], row["ranking"]) for row in rows] == [
        ("shelf", "off the shelf", "reranker"),
        ("shelf", "off the shelf", "fused"),
        ("round 1 of tiny", "champion before", "reranker"),
        ("round 1 of tiny", "champion before", "fused"),
    ]
    # At weight 1 the fused order is the reranker's own, which the run measured as its round 1.
    own = next(
        row
        for row in results["rounds"]
        if (row["round"], row["ranking"], row["metric"]) == (1, "reranker", "nDCG@10")
    )
    assert rows[2]["value"] == own["value"] == rows[3]["value"]


def test_a_guard_set_that_cannot_be_measured_is_one_line_before_any_training(project):
    tiny_beir(project.folder / "guard", seed=9, train=0, dev=0, test=5, passages=20)
    (project.folder / "guard" / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\n")
    file = config(project, "bad", {})
    words = ("decision.guard_sets, 'other'", "test.tsv", "no judgement has a grade above 0")
    refused(project.strop("run", file), *words)
    assert {item["kind"] for item in project.manifests().values()} == {"dataset"}


@pytest.mark.slow
def test_a_gate_too_small_to_decide_is_told_at_once_at_the_end_and_in_the_report(guarded):
    file = config(guarded, "small", {"min_gate_queries": 11, "guard_sets": []})
    why = "gate has 10 judged queries, decision.min_gate_queries asks for 11"
    hopeless = f"{why}: no round of this run can become champion"
    planned = guarded.strop("plan", file)
    assert f"warning: {hopeless}" in planned.stdout
    done = guarded.strop("run", file)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert hopeless in told.partition("round 1")[0]
    assert f"small: {why}; the first stage stays champion" in told
    run = Run(Store(guarded.store), "small")
    assert "decision" not in run.parts().get("promote", {})
    text = run.store.file(run.parts()["assess"]["report"], "report.md").read_text()
    told = text.replace("\\_", "_")
    assert f"No round was held against the champion: {why}." in told


@pytest.mark.slow
def test_a_run_whose_rounds_are_rejected_stops_where_the_config_says(guarded):
    decision = {"alpha": 0.49, "tolerance": 0.0, "patience": 1, "guard_sets": []}
    store = Store(guarded.store)
    trained = {"base": str(store.folder(Run(store, "tiny").parts()["round-002"]["reranker"]))}
    ruinous = {"learning_rate": 0.05}  # on top of weights that rank dev better than the first stage
    file = config(guarded, "stops", decision, rounds=3, reranker=trained, training=ruinous)
    done = guarded.strop("run", file)
    assert done.returncode == 0, done.stderr
    run = Run(store, "stops")
    assert "round-001" in run.parts()
    assert "round-002" not in run.parts()
    why = "topped after round 1: the last round was rejected (decision.patience = 1)"
    assert f"s{why}" in done.stdout
    report = run.store.file(run.parts()["assess"]["report"], "report.md").read_text()
    assert f"S{why}." in report
