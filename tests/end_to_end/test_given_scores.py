"""A run from FlagEmbedding's file, which the config names: its scores teach, `neg` is mined."""

import json

import pyarrow.parquet as pq
import pytest

from tests.world import COMMON, RARE

TEACH = {
    "teacher": "given",
    "more_pools": [{"source": "given"}],
    "cross_fit": False,
    "guard": {"judges": ["teacher"], "margin": 0.5},
}


def records():
    """Every positive scores 5; of the negatives one scores 5 too: a suspect."""
    for number in range(24):
        word, common = RARE[5 * number], COMMON[number]
        texts = [f"{common} {RARE[5 * number + step]} {COMMON[step]}" for step in range(1, 5)]
        yield {
            "query": f"{word} {common}",
            "pos": [f"{word} {word} {common}"],
            "neg": texts,
            "pos_scores": [5.0],
            "neg_scores": [5.0, 1.0, 0.0, -1.0],
            "weight": 0.5 if number % 2 else 1.0,
        }


def write(project, *without):
    rows = [{k: v for k, v in row.items() if k not in without} for row in records()]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (project.folder / "train.jsonl").write_text(text)


def config(project):
    return project.config(
        dataset="train.jsonl",
        rounds=1,
        dev_share=0.3,
        data={"format": "flagembedding"},
        mining=TEACH,
        training={"losses": [{"name": "margin_mse"}, {"name": "kl", "weight": 0.5}]},
    )


def table(project, kind, name):
    path = next((project.store / "objects" / kind).glob(f"*/*/{name}.parquet"))
    return pq.read_table(path).to_pylist()


@pytest.mark.slow
def test_data_without_scores_cannot_teach(project):
    write(project, "pos_scores", "neg_scores")
    done = project.strop("run", config(project))
    assert done.returncode == 2
    assert "mining.teacher = 'given': dataset" in done.stderr
    assert "came without a teacher's scores" in done.stderr
    assert not list(project.store.glob("objects/embeddings/*"))


@pytest.mark.slow
def test_scores_that_came_with_the_data_teach_and_judge(project):
    write(project)
    done = project.strop("run", config(project))
    assert done.returncode == 0, done.stderr
    rows = table(project, "selection", "selection")
    decided = {(row["decision"], row["rule"], row["teacher_score"]) for row in rows}
    assert ("suspect", "margin by teacher", 5.0) in decided
    assert ("skipped", "without_teacher_score", None) in decided
    negatives = table(project, "negatives", "negatives")
    scores = {item["teacher_score"] for row in negatives for item in row["negatives"]}
    assert scores
    assert scores <= {1.0, 0.0, -1.0}
    assert {item["teacher_score"] for row in negatives for item in row["positives"]} == {5.0}
    assert {row["weight"] for row in negatives} == {0.5, 1.0}
