from pathlib import Path

import pyarrow as pa
import pytest

from strop.artifacts.schemas import CANDIDATES, RUN, SCORES
from strop.pipeline.errors import InputError
from strop.pipeline.first_stage import run_file
from strop.pipeline.first_stage.run_file import Lines, read_run, run_candidates, run_positives

TREC = """\
q1 Q0 b 2 3.5 mine
q1\tQ0  a 1 3.5 mine
q0 Q0 c 9 -1e-2 mine
q1 Q0 c 3 8 mine
"""
TSV = "query-id\tpassage-id\tscore\nq1\tb\t3.5\nq1\ta\t3.5\nq0\tc\t-1e-2\nq1\tc\t8\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "mine.run"


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def shown(run: pa.Table) -> list[tuple[object, ...]]:
    return [tuple(row.values()) for row in run.to_pylist()]


def test_a_trec_run_is_ranked_anew_by_score_and_ties_by_its_own_rank(path: Path) -> None:
    run, first_line = read_run(write(path, TREC))
    assert run.schema == RUN
    assert first_line == 1
    assert [row[:3] for row in shown(run)] == [
        ("q1", "b", 3),
        ("q1", "a", 2),
        ("q0", "c", 1),
        ("q1", "c", 1),
    ]
    assert run["score"].to_pylist() == [3.5, 3.5, pytest.approx(-0.01), 8.0]


@pytest.mark.parametrize("text", [TSV, TSV.replace("\n", "\r\n"), "\ufeff" + TSV, TSV.rstrip("\n")])
def test_a_tsv_run_breaks_ties_by_line(path: Path, text: str) -> None:
    run, first_line = read_run(write(path, text))
    assert first_line == 2
    assert [row[:3] for row in shown(run)] == [
        ("q1", "b", 2),
        ("q1", "a", 3),
        ("q0", "c", 1),
        ("q1", "c", 1),
    ]


def test_the_header_of_beir_is_read_and_ids_may_hold_blanks(path: Path) -> None:
    run, _ = read_run(write(path, "query-id\tcorpus-id\tscore\nq 1\ta b\t1\n"))
    assert shown(run) == [("q 1", "a b", 1, 1.0)]


def test_scores_that_float32_cannot_tell_apart_are_ranked_as_written(path: Path) -> None:
    run, _ = read_run(write(path, "q Q0 a 1 1.00000000001 x\nq Q0 b 2 1.00000000002 x\n"))
    assert [row[:3] for row in shown(run)] == [("q", "a", 2), ("q", "b", 1)]


def test_files_are_read_in_blocks(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [f"q{n % 7} Q0 p{n} 1 {n} x\n" for n in range(500)]
    whole, _ = read_run(write(path, "".join(lines)))
    monkeypatch.setattr(run_file, "BLOCK_BYTES", 100)
    assert read_run(path)[0].equals(whole)
    lines[321] = "q1 Q0 p 1 high x\n"
    with pytest.raises(InputError, match=r"mine\.run line 322: 'high', expected a finite score"):
        read_run(write(path, "".join(lines)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: '' has 0 fields, expected six"),
        ("q1 p1 3\n", "line 1: 'q1 p1 3' has 3 fields, expected six as in .* or the header"),
        (TREC + "q2 Q0 a 1 3\n", "line 5: 'q2 Q0 a 1 3' has not 6 fields"),
        (TREC + "\n", "line 5: '' has not 6 fields"),
        (TSV + "q2\ta\n", "line 6: 'q2\\\\ta' has not 3 fields"),
        (TSV.splitlines()[0] + "\n", "a header alone, expected scored passages"),
        (TREC + "q2 Q0 a 1 nan x\n", "line 5: 'nan', expected a finite score"),
        (TREC + "q2 Q0 a 1 1e39 x\n", "line 5: '1e39', expected a finite score"),
        (TREC + "q2 Q0 a 1 3,5 x\n", "line 5: '3,5', expected a finite score"),
        (TREC + "q2 Q0 a first 3 x\n", "line 5: 'first', expected a whole rank"),
        (TSV + "\ta\t3\n", "line 6: '', expected an id"),
        (TREC + "q1 Q0 a 4 2 x\n", "line 5: query 'q1' and passage 'a' are in line 2 too"),
        (TSV + "q0\tc\t3\n", "line 6: query 'q0' and passage 'c' are in line 4 too"),
        (TREC.encode() + b"q2 Q0 \xff 1 3 x\n", "line 5: .*, expected UTF-8 text"),
    ],
)
def test_a_broken_file_is_refused_with_its_line(path: Path, text: str, words: str) -> None:
    with pytest.raises(InputError, match=rf"mine\.run:? ?{words}"):
        read_run(write(path, text))


def test_a_folder_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_run(tmp_path)


def test_candidates_are_in_order_of_queries_and_ranks_down_to_the_depth(tables, path: Path) -> None:
    run, first_line = read_run(write(path, TREC))
    table = tables.queries(["q0", "q1", "q2"], split="train")
    lines = Lines("mine.run", first_line)
    found = run_candidates(run, table, pa.array(["a", "b", "c"]), depth=2, lines=lines)
    assert found.schema == CANDIDATES
    names = ["query_id", "passage_id", "rank", "source", "split"]
    assert shown(found.select(names)) == [
        ("q0", "c", 1, "run", "train"),
        ("q1", "c", 1, "run", "train"),
        ("q1", "a", 2, "run", "train"),
    ]


@pytest.mark.parametrize(
    ("query_ids", "passage_ids", "words"),
    [
        (["q7"], ["a", "b", "c"], r"mine\.run line 1: query 'q1' is not in the data set, .* 1 ids"),
        (
            ["q0", "q1"],
            ["b", "c"],
            r"mine\.run line 2: passage 'a' is not in the data set, .* 2 ids",
        ),
    ],
)
def test_unknown_ids_are_refused_with_their_line(
    tables, path: Path, query_ids: list[str], passage_ids: list[str], words: str
) -> None:
    run, first_line = read_run(write(path, TREC))
    lines = Lines("mine.run", first_line)
    with pytest.raises(InputError, match=words):
        run_candidates(run, tables.queries(query_ids), pa.array(passage_ids), depth=9, lines=lines)


def test_positives_have_the_score_of_the_run_where_it_has_them(tables, path: Path) -> None:
    run, _ = read_run(write(path, TREC))
    qrels = tables.qrels({"q1": {"c": 2, "b": 0, "a": 1}, "q0": {"a": 1, "c": 1}})
    found = run_positives(run, qrels)
    assert found.schema == SCORES
    assert [row[:2] for row in shown(found)] == [("q0", "c"), ("q1", "a"), ("q1", "c")]
    assert found["score"].to_pylist()[1:] == [3.5, 8.0]


def test_queries_that_the_data_lack_are_left_out(tables, path: Path) -> None:
    """With what they rank, which may be passages that it lacks as well."""
    run, first_line = read_run(write(path, f"{TREC}q9 Q0 z 1 2 mine\n"))
    lines = Lines("mine.run", first_line)
    known = tables.queries(["q1"], split="train")
    found = run_candidates(run, known, pa.array(["a", "b", "c"]), depth=2, lines=lines)
    assert shown(found.select(["query_id", "passage_id", "rank"])) == [
        ("q1", "c", 1),
        ("q1", "a", 2),
    ]
