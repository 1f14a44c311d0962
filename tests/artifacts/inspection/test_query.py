"""SQL over the store: what views there are, and that nothing but the store can be read."""

from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from strop.artifacts.errors import Damaged, StoreError
from strop.artifacts.inspection.database import FILE, connected
from strop.artifacts.inspection.diff import diff
from strop.artifacts.inspection.query import query, view_schemas
from strop.artifacts.runs import Run
from strop.artifacts.schemas import TABLES
from strop.artifacts.store import Store
from tests.store_world import store_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return store_world(tmp_path_factory.mktemp("world") / "a store's folder")


def ask(store: Store, sql: str) -> list[Any]:
    with query(store, sql) as answer:
        return [row for batch in answer.batches for row in batch]


def test_rows_come_with_artifact_run_and_round(world: Store) -> None:
    made = Run(world, "tiny").parts()
    found = ask(
        world,
        "SELECT DISTINCT artifact, run, round FROM negatives WHERE group_size = 3 ORDER BY round",
    )
    assert found == [
        (made[f"round-00{number}"]["negatives"].id, "tiny", number) for number in (1, 2)
    ]


def test_rounds_are_compared_in_one_query(world: Store) -> None:
    found = ask(
        world,
        "SELECT b.query_id, b.value - a.value FROM metrics_per_query a JOIN metrics_per_query b "
        "USING (query_id, split, ranking, metric) WHERE a.round = 1 AND b.round = 2 ORDER BY 1",
    )
    assert found == [("q3", 0.5), ("q4", -0.25)]


def test_nested_columns_can_be_unnested(world: Store) -> None:
    found = ask(
        world,
        "SELECT n.passage_id FROM (SELECT unnest(negatives) n FROM negatives "
        "WHERE round = 2 AND query_id = 'q1')",
    )
    assert found == [("p2",), ("p3",)]


def test_shards_are_one_view(world: Store) -> None:
    assert ask(world, "SELECT count(*), max(vector[1]) FROM embeddings_passages") == [(6, 5.0)]


def columns(store: Store) -> dict[str, list[str]]:
    """The columns of every view; that the query names all of them makes it open their files."""
    found: dict[str, list[str]] = {}
    asked = (
        "SELECT table_name, column_name FROM information_schema.columns "
        f"ORDER BY table_name, ordinal_position -- {' '.join(view_schemas())}"
    )
    for view, column in ask(store, asked):
        found.setdefault(view, []).append(column)
    return found


def test_every_declared_table_has_a_view_though_nothing_is_in_the_store(store: Store) -> None:
    found = columns(store)
    assert {*view_schemas(), "artifacts", "inputs", "runs"} <= set(found)
    assert len(view_schemas()) == sum(map(len, TABLES.values())) + 2
    for name, (_, _, schema) in view_schemas().items():
        assert found[name][3:] == schema.names
    assert ask(store, "SELECT * FROM negatives") == []


def test_columns_are_the_same_with_rows_and_without(world: Store, store: Store) -> None:
    full, empty = columns(world), columns(store)
    assert {view: full[view] for view in view_schemas()} == {
        view: empty[view] for view in view_schemas()
    }
    assert FILE not in {column for view in view_schemas() for column in full[view]}


def test_a_table_with_a_round_of_its_own_keeps_it(world: Store) -> None:
    with query(world, "SELECT * FROM report_results") as answer:
        assert answer.columns[:4] == ["artifact", "run", "artifact_round", "round"]


def test_manifests_and_runs_are_views(world: Store) -> None:
    (row,) = ask(
        world, "SELECT kind, stage, summary->>'passages' FROM artifacts WHERE kind = 'dataset'"
    )
    assert row == ("dataset", "import beir", "6")
    made = ask(
        world,
        "SELECT count(*) FROM inputs JOIN artifacts d ON d.artifact = inputs.input "
        "WHERE d.kind = 'dataset' AND inputs.kind = 'dataset'",
    )
    children = [
        item for item in world.artifacts() for ref in item.inputs.values() if ref.kind == "dataset"
    ]
    assert made == [(len(children),)]
    parts = ask(world, "SELECT DISTINCT part FROM runs ORDER BY part")
    assert parts == [("assess",), ("prepare",), ("round-001",), ("round-002",)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('{secret}')",
        "SELECT * FROM read_csv('{secret}')",
        "SELECT * FROM '{secret}'",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_text('{store}/store.json')",
    ],
)
def test_no_other_file_can_be_read(world: Store, tmp_path: Path, sql: str) -> None:
    secret = tmp_path / "secret.csv"
    secret.write_text("a\n1\n")
    asked = sql.format(
        secret=secret, folder=tmp_path, store=world.root.as_posix().replace("'", "''")
    )
    with pytest.raises(StoreError, match="query: Permission Error") as caught:
        ask(world, asked)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("COPY artifacts TO '{out}'", "COPY"),
        ("COPY (SELECT 1) TO '{own}'", "COPY"),
        ("ATTACH '{out}'", "ATTACH"),
        ("CREATE TABLE x AS SELECT 1", "CREATE"),
        ("INSERT INTO negatives SELECT 1", "INSERT"),
        ("SET enable_external_access = true", "SET"),
        ("INSTALL httpfs", "LOAD"),
        ("SELECT 1; COPY artifacts TO '{out}'", "SELECT, COPY"),
        ("", "nothing"),
    ],
)
def test_nothing_can_be_written(world: Store, tmp_path: Path, sql: str, found: str) -> None:
    own = next(world.root.glob("objects/negatives/*/*/negatives.parquet"))
    before = own.read_bytes()
    asked = sql.format(out=tmp_path / "out", own=own.as_posix().replace("'", "''"))
    with pytest.raises(StoreError, match=f"query: found {found}, expected one SELECT"):
        ask(world, asked)
    assert list(tmp_path.iterdir()) == []
    assert own.read_bytes() == before


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("SELEC 1", ["syntax error"]),
        ("SELECT x FROM negatives", ['"x"']),
        ("SELECT * FROM negativ", ["negativ does not exist", "metrics_per_query"]),
        ("SELECT error('a\nb') FROM artifacts", ["query: "]),
    ],
)
def test_a_wrong_query_is_one_line(world: Store, sql: str, words: list[str]) -> None:
    with pytest.raises(StoreError) as caught:
        ask(world, sql)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words)


def test_python_variables_are_no_tables() -> None:
    rows = pa.table({"a": [1]})
    with connected() as connection, pytest.raises(duckdb.CatalogException, match="rows"):
        connection.execute("SELECT * FROM rows")
    assert rows.num_rows == 1


def test_a_path_that_sql_takes_as_a_pattern_is_refused(tmp_path: Path) -> None:
    store = store_world(tmp_path / "a[1]")
    with pytest.raises(StoreError, match="open the store under another path"):
        ask(store, "SELECT * FROM negatives")


def test_a_damaged_table_is_named_in_one_line(tmp_path: Path) -> None:
    store = store_world(tmp_path)
    (first, second) = store.artifacts("negatives")
    path = store.file(first, "negatives.parquet")
    path.write_bytes(path.read_bytes()[:200])
    for look in (
        lambda: ask(store, "SELECT * FROM negatives"),
        lambda: diff(store, first, second, examples=1),
    ):
        with pytest.raises(Damaged, match=f"{path}.*; `strop artifacts verify` names") as caught:
            look()
        assert "\n" not in str(caught.value)
