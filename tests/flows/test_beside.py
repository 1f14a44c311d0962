"""Which metrics `strop compare` takes, from runs recorded in a real store."""

import numpy as np
import pyarrow as pa
import pytest

from strop.artifacts.errors import NotFound
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.schemas import DECISION, METRICS_PER_QUERY, METRICS_SUMMARY
from strop.artifacts.store import Store
from strop.flows.beside import compare_rounds
from strop.pipeline.errors import InputError

CONFIG = {"seed": 1, "evaluation": {"bootstrap_samples": 200}}


def metrics(store, name, value, split, depth=8):
    ids = [f"q{number}" for number in range(30)]
    rows = [
        {
            "query_id": query, "group_id": query, "split": split, "ranking": ranking,
            "depth": depth, "metric": "nDCG@10", "value": value,
        }
        for ranking in ("first_stage", "reranker", "fused")
        for query in ids
    ]  # fmt: skip
    recipe = Recipe("metrics", "test", 1, {"name": name, "split": split, "depth": depth}, {})
    with store.attempt(recipe) as attempt:
        attempt.write_table("per_query", pa.Table.from_pylist(rows, schema=METRICS_PER_QUERY))
        attempt.write_table("summary", METRICS_SUMMARY.empty_table())
        return store.commit(attempt, summary={}).ref


def decision(store, verdict):
    row = dict.fromkeys(DECISION.names, "x")
    row |= {f.name: 0.0 for f in DECISION if f.type == pa.float64()} | {"n": 3, "verdict": verdict}
    with store.attempt(Recipe("decision", "test", 1, {"verdict": verdict}, {})) as attempt:
        attempt.write_table("decision", pa.Table.from_pylist([row], schema=DECISION))
        return store.commit(attempt, summary={}).ref


def candidates(found_by):
    return ArtifactRef("candidates", found_by, found_by)


def add_run(
    store, name, values, verdicts, *, dataset="dataset d1", tested=True, depth=8, found_by="dense"
):
    """A run whose round r (0: untuned) has the r-th value on every query."""
    run = Run(store, name)
    with run.lease() as lease:
        run.claim({**CONFIG, "dataset": dataset, "first_stage": {"ranking": found_by}})
        for number, value in enumerate(values):
            part = f"round-{number:03d}" if number else "prepare"
            found = {"metrics_dev": metrics(store, f"{name}{number}", value, "dev", depth)}
            if not number:
                found["candidates"] = candidates(found_by)
            if number:
                found["decision"] = decision(store, verdicts[number - 1])
            run.record(lease, part, found)
            if tested:
                made = metrics(store, f"{name}{number}", value, "test", depth)
                run.record(lease, "assess", {f"metrics_test_{number}": made})


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "store")
    add_run(made, "a", [0.1, 0.2, 0.3], ["accepted", "rejected"])
    add_run(made, "b", [0.1, 0.5], ["accepted"], tested=False)
    add_run(made, "old", [0.1, 0.5], ["accepted"], dataset="dataset d0")
    return made


def values(rows):
    return {row["name"]: row["value"] for row in rows if row["ranking"] == "fused"}


def test_a_run_stands_for_its_last_accepted_round_and_a_number_for_that_round(store):
    rows = compare_rounds(store, ["a", "a:2", "a:0"], split=None, metric=None)
    assert values(rows) == pytest.approx({"a:1": 0.2, "a:2": 0.3, "a:0": 0.1})
    assert {row["split"] for row in rows} == {"test"}


def test_the_split_is_one_that_all_have(store):
    rows = compare_rounds(store, ["a:1", "b"], split=None, metric=None)
    assert {row["split"] for row in rows} == {"dev"}
    assert np.isclose(next(row["difference"] for row in rows if row["name"] == "b:1"), 0.3)


def test_what_was_not_measured_is_told_with_the_command_that_does_it(store):
    add_run(store, "begun", [], [])
    for names, split, line in (
        (["a", "b"], "test", "b:1: not measured on test yet; `strop assess CONFIG` with the conf"),
        (["a", "begun"], None, "begun:0: not measured on dev yet; `strop run CONFIG` with the con"),
        (["a", "begun:0"], "test", "begun:0: not measured on test yet; `strop run CONFIG` with"),
        (["a", "b"], "gate", "--split gate: expected test or dev"),
    ):
        with pytest.raises(InputError) as caught:
            compare_rounds(store, names, split=split, metric=None)
        assert str(caught.value).startswith(line)


def test_another_version_of_the_data_set_is_refused(store):
    message = "run old: was measured on dataset d0, run a on dataset d1"
    with pytest.raises(InputError, match=message):
        compare_rounds(store, ["a", "old"], split=None, metric=None)


def test_rerankings_of_other_candidates_are_refused_with_the_key_that_found_them(store):
    add_run(store, "words", [0.1, 0.5], ["accepted"], found_by="bm25")
    message = (
        r"^words:1: reranked candidates bm25 \(first_stage.ranking = 'bm25'\), "
        r"a:2 candidates dense \(first_stage.ranking = 'dense'\); compare rounds that "
    )
    with pytest.raises(InputError, match=message):
        compare_rounds(store, ["a:2", "b", "words"], split=None, metric=None)
    with pytest.raises(InputError, match="reranked candidates bm25"):
        compare_rounds(store, ["a:0", "words:0"], split=None, metric=None)


def test_rerankings_at_another_depth_are_refused(store):
    add_run(store, "deep", [0.1, 0.5], ["accepted"], depth=50)
    message = "^deep:1: was measured with evaluation.depth = 50, a:1 with 8; compare rounds"
    with pytest.raises(InputError, match=message):
        compare_rounds(store, ["a", "deep"], split=None, metric=None)


def test_a_depth_is_that_of_the_measuring_and_not_of_the_config(store):
    """A branch may say another depth than that of the rounds it shares with its run."""
    run = Run(store, "a.deep")
    with run.lease() as lease:
        run.claim({**CONFIG, "dataset": "dataset d1", "evaluation": {"depth": 50}})
        for part, refs in Run(store, "a").parts().items():
            run.record(lease, part, refs)
    rows = compare_rounds(store, ["a:2", "a.deep:1"], split=None, metric=None)
    assert values(rows) == pytest.approx({"a:2": 0.3, "a.deep:1": 0.2})


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a", "nope"], "run nope: not in the store"),
        (["a", "a:7"], "run a: has no round 7; finished are 1, 2"),
        (["a", "a:two"], "'a:two': expected RUN or RUN:ROUND"),
        (["a"], "compare a:1: name at least two, each once"),
        (["a", "a:1"], "each once"),
    ],
)
def test_names_that_lead_nowhere_are_refused(store, names, message):
    with pytest.raises((InputError, NotFound), match=message):
        compare_rounds(store, names, split=None, metric=None)
