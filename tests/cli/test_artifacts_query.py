"""`strop artifacts query` prints tables, JSON and CSV."""

import csv
import io
import json

SQL = "SELECT query_id, round, group_size, NULL AS gone FROM negatives ORDER BY round, query_id"


def test_a_table_says_what_it_does_not_show(looked_at, artifacts):
    lines = artifacts(looked_at, "query", SQL, "--rows", "3").stdout.splitlines()
    assert lines[0].split() == ["query_id", "round", "group_size", "gone"]
    assert lines[1].split() == ["q1", "1", "3"]
    assert lines[-1] == "(3 rows, 1 more not shown: --rows, --json or --csv)"
    assert len(lines) == 5


def test_json_and_csv_have_every_row(looked_at, artifacts):
    found = json.loads(artifacts(looked_at, "query", SQL, "--json").stdout)
    assert found[3] == {"query_id": "q2", "round": 2, "group_size": 3, "gone": None}
    rows = list(csv.DictReader(io.StringIO(artifacts(looked_at, "query", SQL, "--csv").stdout)))
    assert rows[3] == {"query_id": "q2", "round": "2", "group_size": "3", "gone": ""}
    assert len(found) == len(rows) == 4


def test_json_has_no_nan_and_none_for_no_rows(looked_at, artifacts):
    sql = "SELECT 'nan'::DOUBLE AS a, [1.5, 'inf'::DOUBLE] AS b, DATE '2026-01-02' AS c"
    found = json.loads(artifacts(looked_at, "query", sql, "--json").stdout)
    assert found == [{"a": None, "b": [1.5, None], "c": "2026-01-02"}]
    (found,) = json.loads(artifacts(looked_at, "query", "SELECT 0.5 AS a", "--json").stdout)
    assert found == {"a": 0.5}
    assert artifacts(looked_at, "query", f"{sql} LIMIT 0", "--json").stdout == "[]\n"


def test_columns_of_one_name_are_all_kept(looked_at, artifacts):
    sql = "SELECT 1 AS a, 2 AS a, 3 AS a_1, 4 AS a"
    (found,) = json.loads(artifacts(looked_at, "query", sql, "--json").stdout)
    assert found == {"a": 1, "a_2": 2, "a_1": 3, "a_3": 4}


def test_two_shapes_at_once_are_refused(looked_at, artifacts):
    done = artifacts(looked_at, "query", SQL, "--json", "--csv", code=2)
    assert done.stderr == "error: --json --csv: choose one of them\n"
