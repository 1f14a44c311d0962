"""Reviewing by file: `strop review --export`, `--import` and `--finish` on a real store."""

import csv
import json

import pytest

from strop.artifacts.errors import Busy, NotFound
from strop.artifacts.runs import Run
from strop.artifacts.schemas import SUSPECTS
from strop.artifacts.store import Store
from strop.cli.review.command import Wishes, run_review
from strop.flows.verdicts import next_round, verdicts_among
from strop.pipeline.errors import InputError
from tests.review_world import MARKUP, keep, mined_run


@pytest.fixture
def run(tmp_path) -> Run:
    return mined_run(tmp_path / "store")


def review(run: Run, number=None, **wishes) -> None:
    run_review("small", run.store.root, number, Wishes(**wishes))


def verdicts_file(tmp_path, *rows, name="verdicts.csv"):
    path = tmp_path / name
    lines = ["query_id,passage_id,verdict", *(",".join(row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["suspects.csv", "suspects.jsonl"])
def test_suspects_go_out_and_come_back_with_verdicts(run, tmp_path, name):
    path = tmp_path / name
    review(run, write=path)
    text = path.read_text(encoding="utf-8")
    if name.endswith("csv"):
        rows = list(csv.DictReader(text.splitlines()))
    else:
        rows = [json.loads(line) for line in text.splitlines()]
    assert [(row["query_id"], row["passage_id"]) for row in rows] == [
        ("q1", "p2"),
        ("q1", "p3"),
        ("q2", "p5"),
    ]
    assert rows[1]["suspect"] == MARKUP
    assert rows[0]["positives"].startswith("open")
    assert {row["rule"] for row in rows} == {"margin by reranker + first_stage"}
    assert [float(row["score"]) for row in rows] == [4.5, 3.25, 2.0]

    path.write_text(text.replace('"verdict": null', '"verdict": "unsure"'), encoding="utf-8")
    if name.endswith("csv"):
        path.write_text(text.replace(",p2,,", ",p2,relevant,"), encoding="utf-8")
    again = tmp_path / f"again-{name}"
    review(run, read=path, write=again)
    assert again.read_text(encoding="utf-8") == path.read_text(encoding="utf-8")


def test_finished_verdicts_are_one_artifact_by_content_for_the_next_round(run, tmp_path, capsys):
    rows = [("q1", "p2", "relevant"), ("q1", "p3", "not relevant"), ("q2", "p6", "unsure")]
    review(run, read=verdicts_file(tmp_path, *rows), finish=True)
    ref = verdicts_among(run.parts(), 2)
    assert verdicts_among(run.parts(), 1) is None
    assert next_round(run.parts()) == 2
    table = run.store.table(ref, "verdicts").to_pylist()
    assert [tuple(row.values()) for row in table] == rows
    manifest = run.store.manifest(ref)
    assert manifest.inputs == {}
    assert manifest.summary == {"verdicts": 3, "relevant": 1, "not relevant": 1, "unsure": 1}
    out = capsys.readouterr().out
    assert f"verdicts {ref.id}: 1 relevant, 1 not relevant, 1 unsure" in out
    assert "Round 2 of this run is mined with them" in out

    other = mined_run(tmp_path / "other")
    review(other, read=verdicts_file(tmp_path, *reversed(rows)), finish=True)
    assert verdicts_among(other.parts(), 2).id == ref.id


def test_a_run_whose_rounds_are_all_mined_says_so(run, capsys, tmp_path):
    with run.lease() as lease:
        for number in (2, 3):
            run.record(lease, f"round-{number:03d}", run.parts()["round-001"])
    review(run, read=verdicts_file(tmp_path, ("q1", "p2", "relevant")), finish=True)
    assert "All rounds of this run are mined already; a new run" in capsys.readouterr().out


def test_a_round_without_suspects_names_those_that_have_some(run, capsys):
    none = keep(run.store, "suspects", suspects=SUSPECTS.empty_table())
    with run.lease() as lease:
        run.record(lease, "round-002", {"suspects": none})
    review(run)
    assert capsys.readouterr().out == ("run small: round 2 has no suspects, round 1 has 3\n")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (("q9", "p2", "relevant"), "line 3: query 'q9' is not in the data set, expected"),
        (("q1", "p9", "relevant"), "line 3: passage 'p9' is not in the data set, expected"),
        (("q3", "p1", "relevant"), "line 3: query 'q3' is in the split dev, expected a train"),
        (("q1", "p1", "unsure"), "line 3: the data set has judged query 'q1' and passage 'p1'"),
        (("q1", "p3", "good"), "line 3: verdict 'good' is unknown, expected relevant, not rel"),
        (("q1", "p3"), "line 3: 2 fields, expected 3"),
    ],
)
def test_a_wrong_file_changes_nothing(run, tmp_path, row, message):
    before = sorted(path for path in run.store.root.rglob("*.json*") if "lease" not in path.parts)
    path = verdicts_file(tmp_path, ("q1", "p2", "relevant"), row)
    with pytest.raises(InputError) as caught:
        review(run, read=path, finish=True)
    assert str(caught.value).startswith(f"{path} {message}")
    after = sorted(path for path in run.store.root.rglob("*.json*") if "lease" not in path.parts)
    assert after == before


def test_what_cannot_be_reviewed_is_told(run, tmp_path):
    with pytest.raises(NotFound, match="run nobody"):
        run_review("nobody", run.store.root, None, Wishes(finish=True))
    with pytest.raises(NotFound, match="round 2 has not been mined; mined are 1"):
        review(run, 2, finish=True)
    with pytest.raises(InputError, match="nobody has judged a suspect yet"):
        review(run, finish=True)
    review(run, write=tmp_path / "once.csv")
    with pytest.raises(InputError, match="exists already"):
        review(run, write=tmp_path / "once.csv")


def test_verdicts_wait_while_the_run_works(run, tmp_path):
    path = verdicts_file(tmp_path, ("q1", "p2", "relevant"))
    with run.lease(), pytest.raises(Busy, match="run small: process"):
        review(run, read=path, finish=True)
    review(Run(Store(run.store.root), "small"), finish=True)
    assert verdicts_among(run.parts(), 2)
