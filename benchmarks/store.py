"""The store benchmark: what it costs to look up, commit, list and write tables.

    python benchmarks/store.py

- *look up*, *commit*: of a stage with a small table, against a stage of 10 s;
- *ls*: the catalogue of 10,000 artifacts, built from their manifests and read again, and the
  whole command from its start to its end, with Python's imports;
- *write*: candidate rows in batches through `TableWriter`, against bare `ParquetWriter` with the
  same settings and row groups, each in a process of its own; memory is what the process grew by.
"""

import argparse
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from strop.artifacts.inspection.catalog import read_catalog
from strop.artifacts.manifest import Recipe
from strop.artifacts.schemas import CANDIDATES
from strop.artifacts.store import Store
from strop.artifacts.tables import ROW_GROUP_ROWS, write_batches

STAGE_SECONDS = 10.0
SCORES = pa.table({"query_id": ["q"] * 100, "passage_id": ["p"] * 100, "score": [0.5] * 100})


def stage_costs(root: Path, times: int) -> tuple[float, float]:
    """The median seconds of a lookup that finds, and of an attempt with its commit."""
    store, found, made = Store(root), [], []
    for number in range(times):
        recipe = Recipe("scores", "score", 1, {"number": number}, {})
        started = time.perf_counter()
        with store.attempt(recipe) as attempt:
            attempt.write_table("scores", SCORES)
            store.commit(attempt, summary={"pairs": 100})
        made.append(time.perf_counter() - started)
        started = time.perf_counter()
        store.lookup(recipe)
        found.append(time.perf_counter() - started)
    return median(found), median(made)


def list_costs(root: Path, count: int) -> tuple[float, float]:
    """Seconds to list so many artifacts without a catalogue, and with one."""
    store = Store(root)
    one = store.artifacts()[0]
    for number in range(count - len(store.artifacts())):
        folder = root / "objects" / one.kind / f"{number:016x}"
        folder.mkdir()
        (folder / "manifest.json").write_bytes(replace(one, id=folder.name).to_bytes())
    seconds = []
    for _ in range(2):
        started = time.perf_counter()
        assert len(read_catalog(store).entries) == count
        seconds.append(time.perf_counter() - started)
    return seconds[0], seconds[1]


def batches(rows: int, size: int = 100_000) -> Iterator[pa.Table]:
    """Candidates of 100 a query, as a retrieval would hand them over."""
    drawn = np.random.default_rng(0)
    passages = pa.array([f"passage-{number}" for number in range(50_000)])
    for start in range(0, rows, size):
        numbers = np.arange(start, min(start + size, rows))
        yield pa.table(
            {
                "query_id": pa.array(np.char.add("query-", (numbers // 100).astype("U"))),
                "passage_id": passages.take(pa.array(drawn.integers(50_000, size=len(numbers)))),
                "rank": pa.array((numbers % 100 + 1).astype("int32")),
                "score": pa.array(drawn.random(len(numbers), dtype="float32")),
                "source": pa.array(["dense"] * len(numbers)).dictionary_encode(),
                "split": pa.array(["train"] * len(numbers)).dictionary_encode(),
            },
            schema=CANDIDATES,
        )


def ours(path: Path, tables: Iterator[pa.Table]) -> None:
    """Through the store's writer."""
    write_batches(path, tables, CANDIDATES)


def bare(path: Path, tables: Iterator[pa.Table]) -> None:
    """Through pyarrow's writer with the same settings."""
    with pq.ParquetWriter(path, CANDIDATES, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)


def _timed(write: Callable[..., None], rows: int, say: "multiprocessing.Queue[object]") -> None:
    """Seconds of writing, without those of making the rows, and the growth of memory in MB."""
    spent = 0.0

    def clocked() -> Iterator[pa.Table]:
        nonlocal spent
        source = batches(rows)
        while True:
            started = time.perf_counter()
            table = next(source, None)
            spent += time.perf_counter() - started
            if table is None:
                return
            yield table

    folder = Path(tempfile.mkdtemp())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    write(folder / "t.parquet", clocked())
    seconds = time.perf_counter() - started - spent
    shutil.rmtree(folder)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    say.put((seconds, grown))


def write_costs(write: Callable[..., None], rows: int) -> tuple[float, float]:
    """As `_timed`, in a process of its own."""
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    process = context.Process(target=_timed, args=(write, rows, queue))
    process.start()
    found: tuple[float, float] = queue.get()
    process.join()
    return found


def command_costs(root: Path) -> tuple[float, float]:
    """The least of five: seconds that `strop artifacts ls` takes, and those of the processor."""
    found = []
    for _ in range(5):
        before, started = os.times(), time.perf_counter()
        command = [sys.executable, "-m", "strop.cli", "artifacts", "ls", "--store", str(root)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        wall, after = time.perf_counter() - started, os.times()
        busy = after.children_user + after.children_system
        found.append((wall, busy - before.children_user - before.children_system))
    return min(wall for wall, _ in found), min(busy for _, busy in found)


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description="What the store costs.")
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--artifacts", type=int, default=10_000)
    arguments = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    try:
        found, made = stage_costs(folder / "store", 50)
        share = (found + made) / STAGE_SECONDS
        print(f"look up {found * 1e3:.2f} ms, commit {made * 1e3:.1f} ms: {share:.2%} of 10 s")
        cold, warm = list_costs(folder / "store", arguments.artifacts)
        print(f"ls of {arguments.artifacts:,}: {cold:.2f} s without catalogue, {warm:.2f} s with")
        wall, busy = command_costs(folder / "store")
        print(f"`strop artifacts ls` of them: {wall:.2f} s, {busy:.2f} s of the processor")
    finally:
        shutil.rmtree(folder)
    for rows in (arguments.rows // 10, arguments.rows):
        (mine, grown), (theirs, _) = write_costs(ours, rows), write_costs(bare, rows)
        print(
            f"write {rows:,} rows: {rows / mine:,.0f} a second, bare {rows / theirs:,.0f}, "
            f"ratio {theirs / mine:.2f}; memory grew by {grown:,.0f} MB"
        )


if __name__ == "__main__":
    main()
