"""`strop artifacts`: ls, show and lineage of a finished run."""

import time
from xml.etree import ElementTree

import pytest

from strop.artifacts.runs import Run
from strop.tasks.review import keep_verdicts
from strop.tasks.stage import Place

WIDE = "selection.parquet: row 1"


def made(store, part, role):
    return Run(store, "tiny").parts()[part][role]


def test_ls_has_run_round_size_and_figures(looked_at, artifacts):
    lines = artifacts(looked_at, "ls").stdout.splitlines()
    assert lines[0].split() == ["kind", "id", "run", "round", "age", "size", "headline"]
    assert lines[-1].startswith(f"{len(lines) - 2} artifacts, ")
    (dataset,) = [line for line in lines if line.startswith("dataset")]
    assert dataset.split()[2:4] == ["tiny", "0"]
    assert dataset.endswith("6 passages")
    ids = [line.split()[1] for line in lines[1:-1]]
    assert len(set(ids)) == len(ids) == len(looked_at.artifacts())


def test_ls_of_one_round_of_a_run(looked_at, told):
    rows = told(looked_at, "ls", "--run", "tiny", "--round", "2")
    recorded = {ref.id for ref in Run(looked_at, "tiny").parts()["round-002"].values()}
    assert recorded <= {row["id"] for row in rows}
    assert all(2 in {run["round"] for run in row["runs"]} for row in rows)
    tested = made(looked_at, "assess", "metrics_test_2").id
    assert tested in {row["id"] for row in rows}
    kinds = told(looked_at, "ls", "--round", "2", "--kind", "negatives")
    assert [row["id"] for row in kinds] == [made(looked_at, "round-002", "negatives").id]


def test_ls_tells_of_the_run_that_is_asked_for(world, artifacts):
    other, first = Run(world, "zoo"), Run(world, "tiny").parts()["round-001"]
    other.claim({"rounds": 3, "name": "zoo", "decision": {"champion": "zoo"}})
    with other.lease() as lease:
        other.record(lease, "round-003", {"negatives": first["negatives"]})

    def line(*asked):
        lines = artifacts(world, "ls", "--kind", "negatives", *asked).stdout.splitlines()
        (found,) = (line for line in lines if first["negatives"].id in line)
        return found.split()[2:5]

    assert line() == ["tiny", "+1", "1"]
    assert line("--run", "zoo") == line("--round", "3") == ["zoo", "+1", "3"]


def test_ls_says_from_which_round_on_verdicts_are_for(world, artifacts):
    verdicts = keep_verdicts(Place(world.location, "tiny", "review"), {("q", "p"): "relevant"})
    run = Run(world, "tiny")
    with run.lease() as lease:
        run.record(lease, "verdicts-003", {"verdicts": verdicts})
    line = artifacts(world, "ls", "--kind", "verdicts").stdout.splitlines()[1]
    assert line.split()[2:5] == ["tiny", "from", "3"]
    assert line.endswith("1 verdict, 1 relevant, 0 not relevant, 0 unsure")


def test_a_row_that_is_too_wide_for_a_table_is_shown_column_by_column(looked_at, artifacts):
    selection = made(looked_at, "round-001", "selection")
    lines = artifacts(looked_at, "show", selection.id, "--rows", "1").stdout.splitlines()
    shown = dict(line.split(maxsplit=1) for line in lines[lines.index(WIDE) + 1 :])
    first = looked_at.table(selection, "selection").to_pylist()[0]
    assert list(shown) == list(first)
    assert (shown["passage_id"], shown["decision"]) == (first["passage_id"], first["decision"])
    scores = made(looked_at, "round-001", "scores")
    assert "scores.parquet: first rows" in artifacts(looked_at, "show", scores.id).stdout


def test_ls_by_age(looked_at, told):
    assert told(looked_at, "ls", "--older", "1h") == []
    assert len(told(looked_at, "ls", "--newer", "1h")) == len(looked_at.artifacts())
    assert told(looked_at, "ls", "--newer", "0s", "--older", "1h") == []
    assert told(looked_at, "ls", "--older", "999999999w") == []


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("--kind", "negative"), "error: kind 'negative': unknown; expected dataset, "),
        (("--run", "huge"), "error: run 'huge': not in the store "),
        (("--newer", "two"), "error: --newer 'two': expected a number and one of s, m, h, d, w"),
    ],
)
def test_ls_refuses_what_there_is_not(looked_at, artifacts, arguments, line, capsys):
    done = artifacts(looked_at, "ls", *arguments, code=2)
    assert done.stderr.startswith(line)
    assert len(done.stderr.splitlines()) == 1


def test_ls_names_a_damaged_manifest_and_lists_the_rest(world, artifacts):
    ref = made(world, "round-001", "scores")
    path = world.root / "objects" / "scores" / ref.id / "manifest.json"
    path.write_text("{")
    done = artifacts(world, "ls")
    assert ref.id not in done.stdout
    assert f"warning: {path}: not a manifest" in done.stderr


def test_ls_of_many_artifacts_is_printed_in_time(world, artifacts):
    path = next((world.root / "objects" / "scores").glob("*/manifest.json"))
    text, old = path.read_text(), path.parent.name
    for number in range(1000):
        folder = world.root / "objects" / "scores" / f"{number:016x}"
        folder.mkdir()
        (folder / "manifest.json").write_text(text.replace(old, folder.name))
    artifacts(world, "ls")
    started = time.process_time()
    done = artifacts(world, "ls")
    assert time.process_time() - started < 0.5
    assert len(done.stdout.splitlines()) > 1000


def test_show_tells_columns_bounds_rows_and_runs(looked_at, artifacts, told):
    selection = made(looked_at, "round-002", "selection").id
    text = artifacts(looked_at, "show", selection).stdout
    for words in ("made by select", "tiny, round-002 as selection", "mining_score", "margin"):
        assert words in text
    found = told(looked_at, "show", selection)
    assert found["runs"] == [{"run": "tiny", "part": "round-002", "round": 2, "role": "selection"}]
    columns = {column["name"]: column for column in found["columns"]["selection.parquet"]}
    assert (columns["mining_score"]["low"], columns["mining_score"]["high"]) == (2.0, 2.0)
    assert columns["teacher_score"]["nulls"] == 12
    assert columns["query_id"]["nullable"] is False


def test_lineage_goes_up_and_down(looked_at, artifacts, told):
    first = made(looked_at, "round-001", "reranker")
    second = made(looked_at, "round-002", "reranker")
    found = told(looked_at, "lineage", first.id)
    assert {"dataset", "candidates", "negatives"} <= {step["kind"] for step in found["up"]}
    assert second.id in {step["id"] for step in found["down"]}
    assert made(looked_at, "assess", "report").id in {step["id"] for step in found["down"]}
    text = artifacts(looked_at, "lineage", first.id).stdout
    up, down = text.split(f"from reranker {first.id} were made")
    assert "dataset" in up
    assert second.id in down


def test_lineage_as_a_picture(looked_at, artifacts):
    reranker = made(looked_at, "round-001", "reranker").id
    drawn = artifacts(looked_at, "lineage", reranker, "--format", "svg").stdout
    assert ElementTree.fromstring(drawn).tag.endswith("svg")
    chart = artifacts(looked_at, "lineage", reranker, "--format", "mermaid").stdout
    assert chart.startswith("flowchart LR\n")
    assert f"reranker {reranker}<br/>train" in chart
