"""A mined round of a run in a store, small enough to judge by hand."""

from pathlib import Path

import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.schemas import CORPUS, QRELS, QUERIES, SUSPECTS, TABLES
from strop.artifacts.store import Store
from strop.pipeline.config import Config

MARKUP = "<script>document.title = 'taken'</script> Close a file with file.close() & be done."
PASSAGES = {
    "p1": ("open", "Open a file and return a file object; mode 'r' reads text."),
    "p2": ("io.open", "Opens the file named by a path and returns a stream."),
    "p3": ("", MARKUP),
    "p4": ("zip", "Iterate over several iterables in parallel, producing tuples."),
    "p5": ("itertools.zip_longest", "Zip iterables of unequal length; missing values are filled."),
    "p6": ("os.scandir", "Return an iterator over the entries of a folder."),
}
QUERY_TEXTS = {"q1": ("Open a file", "train"), "q2": ("Zip <b>iterables</b>", "train")}
OTHER_QUERIES = {"q3": ("List the entries of a folder", "dev")}
SUSPECT_PAIRS = [("q1", "p2", 4.5), ("q1", "p3", 3.25), ("q2", "p5", 2.0)]


def keep(store: Store, kind: str, **tables: pa.Table) -> ArtifactRef:
    rows = {name: table.num_rows for name, table in tables.items()}
    with store.attempt(Recipe(kind, "by hand", 1, {"rows": rows}, {})) as attempt:
        for name, table in tables.items():
            attempt.write_table(name, table)
        return store.commit(attempt, summary={}).ref


def mined_run(root: Path, name: str = "small") -> Run:
    """A run whose first round has three suspects: p2 and p3 of query q1, p5 of query q2."""
    store = Store(root)
    run = Run(store, name)
    corpus = [
        {"passage_id": id_, "title": title, "text": text, "parent_id": None}
        for id_, (title, text) in PASSAGES.items()
    ]
    queries = [
        {"query_id": id_, "text": text, "split": split, "weight": 1.0, "group_id": id_}
        for id_, (text, split) in {**QUERY_TEXTS, **OTHER_QUERIES}.items()
    ]
    judged = [("q1", "p1", 1, "train"), ("q2", "p4", 1, "train"), ("q3", "p6", 1, "dev")]
    dataset = keep(
        store,
        "dataset",
        corpus=pa.Table.from_pylist(corpus, schema=CORPUS),
        queries=pa.Table.from_pylist(queries, schema=QUERIES),
        qrels=pa.Table.from_pylist(
            [dict(zip(QRELS.names, row, strict=True)) for row in judged], schema=QRELS
        ),
    )
    suspects = [
        {
            "query_id": query,
            "passage_id": passage,
            "score": score,
            "first_stage_score": 0.5,
            "positive_score": 1.5,
            "rule": "margin by reranker + first_stage",
            "decision": "suspect",
        }
        for query, passage, score in SUSPECT_PAIRS
    ]
    found = keep(store, "suspects", suspects=pa.Table.from_pylist(suspects, schema=SUSPECTS))
    selection = TABLES["selection"]
    empty = {table: schema.empty_table() for table, schema in selection.items()}
    run.claim(Config(name=name, dataset=dataset.id).identity())
    with run.lease() as lease:
        run.record(lease, "prepare", {"dataset": dataset})
        made = {"selection": keep(store, "selection", **empty), "suspects": found}
        run.record(lease, "round-001", made)
    return run
