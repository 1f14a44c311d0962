"""Peak memory and rate of `strop import` as the corpus grows, beside parsing its JSON alone.

Writes BEIR folders of made-up passages, imports each one in a process of its own, and prints a
Markdown table. Every process reports its own peak resident memory. The kinds of work take turns,
and the median of their seconds is told, with the least and the most CPU seconds, since other work
on the machine changes them.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import partial
from importlib.metadata import version
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa

from strop.artifacts.schemas import CORPUS
from strop.artifacts.tables import TableWriter
from strop.pipeline.data.importing import Request, import_files

QUERIES = 1000
VOCABULARY = 20_000


def passages(count: int, seed: int) -> Iterator[str]:
    """JSON lines of passages of 20 to 120 made-up words, frequent ones more often."""
    random = np.random.default_rng(seed)
    words = np.array([f"w{number:x}" for number in range(VOCABULARY)])
    for start in range(0, count, 1000):
        lengths = random.integers(20, 120, min(1000, count - start))
        drawn = words[(VOCABULARY * random.random(lengths.sum()) ** 3).astype(int)].tolist()
        ends = np.cumsum(lengths)
        for number, (end, length) in enumerate(zip(ends, lengths, strict=True), start):
            text = " ".join(drawn[end - length : end])
            yield json.dumps({"_id": f"passage-{number}", "title": f"T {number}", "text": text})


def write_data(folder: Path, count: int) -> None:
    """A BEIR folder with so many passages."""
    (folder / "qrels").mkdir(parents=True)
    with (folder / "corpus.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in passages(count, seed=1))
    with (folder / "queries.jsonl").open("w", encoding="utf-8") as file:
        for number in range(QUERIES):
            file.write(json.dumps({"_id": f"q{number}", "text": f"made up query {number}"}) + "\n")
    judged = (f"q{number}\tpassage-{number * 7}\t1\n" for number in range(QUERIES))
    (folder / "qrels" / "train.tsv").write_text("".join(judged), encoding="utf-8")


def run_import(folder: Path, *, near_duplicates: bool = True) -> None:
    """Read, check and write a data set, as the import stage does."""
    request = Request.checked("beir", str(folder), [], {})
    with (
        tempfile.TemporaryDirectory() as out,
        TableWriter(Path(out) / "corpus.parquet", CORPUS) as writer,
    ):
        again = writer.read_back if near_duplicates else None
        import_files(request, write_corpus=writer.write, read_rows=again)


def parse_json(folder: Path) -> None:
    """Parse the corpus with Python's own parser, and drop what it gives."""
    with (folder / "corpus.jsonl").open("rb") as file:
        for line in file:
            json.loads(line)


PARSER = "json.loads alone"
WORK: dict[str, Callable[[Path], None]] = {
    "import": run_import,
    "import without the search for near duplicates": partial(run_import, near_duplicates=False),
    PARSER: parse_json,
}


@dataclass(frozen=True)
class Measured:
    """What one piece of work took: seconds of all processors, seconds that passed, megabytes."""

    cpu: float
    wall: float
    peak: float


def measure(name: str, folder: Path) -> Measured:
    """One piece of work in a process of its own."""
    command = [sys.executable, __file__, "--work", name, "--folder", str(folder)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return Measured(*json.loads(done.stdout))


def report_self(name: str, folder: Path) -> None:
    """Do the work in this process and print what it took."""
    cpu, wall = time.process_time(), time.perf_counter()
    WORK[name](folder)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts in KiB
    print(json.dumps([cpu, wall, peak]))


def cells(count: int, name: str, turns: list[Measured], parser: float) -> str:
    """A row of the table; ``parser`` is what the parser took."""
    cpu = [turn.cpu for turn in turns]
    took = median(cpu)
    spread = f"{took:.2f} ({min(cpu):.2f} to {max(cpu):.2f})"
    wall, peak = median(turn.wall for turn in turns), max(turn.peak for turn in turns)
    rate = f"{count / took:,.0f} | {parser / took:.2f}"
    return f"| {count:,} | {name} | {spread} | {wall:.2f} | {rate} | {peak:.0f} |"


def main() -> None:
    """Measure every size and print the table."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--passages", type=int, nargs="+", default=[100_000, 1_000_000])
    arguments.add_argument("--turns", type=int, default=5, help="how often each work is done")
    arguments.add_argument("--work", choices=WORK)
    arguments.add_argument("--folder", type=Path)
    given = arguments.parse_args()
    if given.work:
        report_self(given.work, given.folder)
        return
    print("# Importing a corpus as it grows\n")
    print(f"- Command: `python benchmarks/import_scale.py --passages {_words(given.passages)}`")
    print(f"- Date: {date.today()}")
    versions = ", ".join(f"{name} {version(name)}" for name in ("strop", "pyarrow", "orjson"))
    print(f"- Versions: Python {platform.python_version()}, {versions}, numpy {np.__version__}")
    print(f"- Threads of Arrow: {pa.cpu_count()}; turns: {given.turns}")
    print(f"- Load of the machine's {os.cpu_count()} processors before: {os.getloadavg()[0]:.1f}\n")
    print(
        "| passages | work | CPU seconds | seconds that passed | passages a CPU second "
        "| of the parser's rate | peak memory, MB |"
    )
    print("|---:|---|---:|---:|---:|---:|---:|")
    for count in given.passages:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name) / "data"
            write_data(folder, count)
            turns = [{work: measure(work, folder) for work in WORK} for _ in range(given.turns)]
            parser = median(turn[PARSER].cpu for turn in turns)
            for work in WORK:
                print(cells(count, work, [turn[work] for turn in turns], parser), flush=True)


def _words(values: list[int]) -> str:
    return " ".join(map(str, values))


if __name__ == "__main__":
    main()
