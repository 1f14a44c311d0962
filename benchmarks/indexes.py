"""What every kind of vector index finds, and what it costs: recall, time, memory and disk.

    python -m benchmarks.indexes --passages 100000 1000000

Vectors are drawn around centres, with a spectrum that falls as that of texts' embeddings does, and
have length one; queries are passages moved a little. Every kind runs in a process of its own with
one thread; the exact search reads the same vectors in blocks. A table goes to
``benchmarks/results/indexes.md``.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from benchmarks.growth_sides import forget_peak, peak_mb
from strop.pipeline.config import VectorIndex
from strop.pipeline.first_stage.exact_search import nearest
from strop.pipeline.first_stage.index import (
    Search,
    between,
    build_index,
    read_index,
    shard_sizes,
    write_index,
)

WIDTH, DEPTH, QUERIES = 384, 100, 1_000
BLOCK = 1 << 14
KINDS: dict[str, list[dict[str, Any]]] = {
    "exact": [{}],
    "hnsw": [{"breadth": 128}, {"breadth": 256}, {"breadth": 512}],
    "hnsw, 4 shards": [{"breadth": 128}, {"breadth": 256}],
    "ivf": [{"probes": 16}, {"probes": 64}, {"probes": 256}],
    "ivf_pq": [{"probes": 64, "refine": 1}, {"probes": 64, "refine": 4}, {"probes": 256}],
}
"""The settings that each kind is searched with; it is built with the first of them."""
SHARDS = {"hnsw, 4 shards": 4}


def write_vectors(folder: Path, passages: int) -> None:
    """The passages' vectors, in blocks, and the queries'."""
    random = np.random.default_rng(1)
    spectrum = (1 + np.arange(WIDTH)) ** -0.5
    topics = random.standard_normal((200, WIDTH))
    centres = topics[random.integers(0, 200, 20_000)] + random.standard_normal((20_000, WIDTH))
    with (folder / "vectors.f32").open("wb") as file:
        for start in range(0, passages, BLOCK):
            count = min(BLOCK, passages - start)
            drawn = centres[random.integers(0, len(centres), count)]
            block = _unit((drawn + random.standard_normal(drawn.shape)) * spectrum)
            file.write(block.tobytes())
            if start == 0:
                moved = random.standard_normal((QUERIES, WIDTH)) * spectrum / WIDTH**0.25
                np.save(folder / "queries.npy", _unit(block[:QUERIES] + moved / 4))


def _unit(vectors: Any) -> Any:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def measure(folder: Path, kind: str, passages: int) -> list[dict[str, Any]]:
    """Build an index, and search it with every setting of its kind."""
    path = folder / "vectors.f32"
    queries = np.load(folder / "queries.npy")

    def blocks() -> Iterator[Any]:
        for start in range(0, passages, BLOCK):
            count = min(BLOCK, passages - start)
            yield np.fromfile(path, np.float32, count * WIDTH, offset=start * WIDTH * 4).reshape(
                count, WIDTH
            )

    if kind == "exact":
        forget_peak()
        started = time.process_time()
        exact = np.concatenate([rows for _, _, rows in nearest(blocks, queries, DEPTH)])
        np.save(folder / "exact.npy", exact)
        spent = time.process_time() - started
        return [_row(kind, {}, found=1.0, search=spent, search_mb=peak_mb())]
    forget_peak()
    started = time.process_time()
    files, cut = [], _config(kind, KINDS[kind][0], passages)
    ends = np.cumsum([0, *shard_sizes(passages, cut)]).tolist()
    for first, end in pairwise(ends):
        built = build_index(between(blocks, first, end), end - first, WIDTH, cut)
        files.append(folder / f"{kind}-{first}.faiss")
        write_index(built, files[-1])
        del built
    cost = {"build": time.process_time() - started, "build_mb": peak_mb()}
    cost["disk"] = sum(file.stat().st_size for file in files) / passages
    exact, rows = np.load(folder / "exact.npy"), []
    for setting in KINDS[kind]:
        config = _config(kind, setting, passages)
        search = Search([read_index(file) for file in files], blocks, DEPTH, config)
        forget_peak()
        started = time.process_time()
        found = np.concatenate([part for _, _, part in search.nearest(queries)])
        spent, memory = time.process_time() - started, peak_mb()
        both = zip(found, exact, strict=True)
        share = float(np.mean([np.isin(theirs, ours).mean() for ours, theirs in both]))
        rows.append(_row(kind, setting, found=share, search=spent, search_mb=memory, **cost))
    return rows


def _config(kind: str, setting: dict[str, Any], passages: int) -> VectorIndex:
    cut = {"shard_passages": -(-passages // SHARDS[kind])} if kind in SHARDS else {}
    return VectorIndex.model_validate({"type": kind.split(",")[0], **cut, **setting})


def _row(kind: str, setting: dict[str, Any], **cost: float) -> dict[str, Any]:
    named = ", ".join(f"{name} {value}" for name, value in setting.items())
    return {"kind": kind, "setting": named, **cost}


def page(rows: dict[int, list[dict[str, Any]]]) -> str:
    """All sizes as one page."""
    lines = [
        "# Vector indexes",
        "",
        f"- Command: `python -m benchmarks.indexes --passages {' '.join(map(str, rows))}`",
        f"- Date: {datetime.date.today().isoformat()}; faiss {faiss.__version__}, one thread",
        f"- Vectors of {WIDTH} dimensions drawn around centres; {QUERIES:,} queries, the best "
        f"{DEPTH} of each; found: the share of these that the exact search finds",
        "- Search: all queries, the exact scores of what was found included; megabytes are of the "
        "whole process, libraries and the index's mapped pages among them; the first setting of a "
        "kind is the one that maps them",
        "- An index is built with the first setting of its kind",
        "",
    ]
    for passages, found in rows.items():
        lines += [
            f"## {passages:,} passages",
            "",
            "| index | setting | found | search, CPU s | search, MB | build, CPU s | build, MB | "
            "bytes a passage on disk |",
            "|---|---|---:|---:|---:|---:|---:|---:|",
        ]
        for row in found:
            built = [
                f"{row[key]:,.0f}" if key in row else "–" for key in ("build", "build_mb", "disk")
            ]
            lines.append(
                f"| {row['kind']} | {row['setting'] or '–'} | {row['found']:.3f} | "
                f"{row['search']:,.1f} | {row['search_mb']:,.0f} | {' | '.join(built)} |"
            )
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    """Measure every size and kind, and write the page."""
    parser = argparse.ArgumentParser(description="Vector indexes compared.")
    parser.add_argument("--passages", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--out", type=Path, default=Path("build/indexes"))
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--child", nargs=2, metavar=("KIND", "PASSAGES"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(measure(given.out, given.child[0], int(given.child[1]))))
        return
    rows = {passages: _of_size(given, passages) for passages in given.passages}
    (given.results / "indexes.md").write_text(page(rows))


def _of_size(given: argparse.Namespace, passages: int) -> list[dict[str, Any]]:
    folder = given.out / str(passages)
    if not (folder / "queries.npy").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_vectors(folder, passages)
    rows = []
    for kind in given.kinds:
        kept = folder / f"{kind}.json"
        if not kept.exists():
            print(f"{kind}, {passages:,} passages", flush=True)
            command = [sys.executable, "-m", "benchmarks.indexes", "--out", folder]
            done = subprocess.run(
                [*command, "--child", kind, str(passages)],
                stdout=subprocess.PIPE,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
                check=True,
            )
            kept.write_bytes(done.stdout.splitlines()[-1])
        rows += json.loads(kept.read_bytes())
    return rows


if __name__ == "__main__":
    main()
