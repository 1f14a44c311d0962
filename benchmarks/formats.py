"""Every format that `strop import` reads, tried on one data set: its BEIR folder, written anew.

Writes the folder's passages, queries and judgements in each format, runs the command that the docs
tell, and prints a Markdown table of the commands and what they print.
"""

import argparse
import csv
import json
import platform
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

COMMANDS = (
    "strop import beir {name} --check",
    "strop import beir {name} --check --chunk-words 30 --chunk-overlap 10",
    "strop import flagembedding flagembedding --check",
    "strop import trec trec --check",
    "strop import huggingface huggingface --check",
    "strop import table pairs.csv --check --column query=question --column query_id=qid "
    "--column passage=body --column passage_id=did --column title=head --column grade=rel "
    "--column split=part",
    "strop import table tables --check",
)
Pair = tuple[str, str, int]


@dataclass(frozen=True)
class Data:
    """A BEIR folder: titles and texts of passages, texts of queries, and judgements by split."""

    passages: dict[str, tuple[str, str]]
    queries: dict[str, str]
    judged: dict[str, list[Pair]]

    def positives(self, split: str) -> Iterator[tuple[str, str, str]]:
        """Query, a relevant passage's text, and the text of a passage some places on."""
        texts = [text for _, text in self.passages.values()]
        place = {passage: number for number, passage in enumerate(self.passages)}
        for query, passage, grade in self.judged[split]:
            if grade > 0:
                other = texts[(place[passage] + 40) % len(texts)]
                yield self.queries[query], self.passages[passage][1], other


def read(folder: Path) -> Data:
    """The data of a plain BEIR folder."""
    passages = {row["_id"]: (row.get("title", ""), row["text"]) for row in _rows(folder, "corpus")}
    queries = {row["_id"]: row["text"] for row in _rows(folder, "queries")}
    judged = {}
    for path in sorted((folder / "qrels").glob("*.tsv")):
        fields = [line.split("\t") for line in path.read_text("utf-8").splitlines()]
        judged[path.stem] = [(q, p, int(grade)) for q, p, grade in fields if grade != "score"]
    return Data(passages, queries, judged)


def _rows(folder: Path, name: str) -> Iterator[dict[str, Any]]:
    with (folder / f"{name}.jsonl").open(encoding="utf-8") as file:
        yield from map(json.loads, file)


def write_flagembedding(data: Data, folder: Path) -> None:
    """One JSONL file a split, with one negative for each positive."""
    for split in data.judged:
        with (folder / f"{split}.jsonl").open("w", encoding="utf-8") as file:
            for query, positive, negative in data.positives(split):
                row = {"query": query, "pos": [positive], "neg": [negative]}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")


def write_trec(data: Data, folder: Path) -> None:
    """A JSONL collection, as texts may have line ends; topics with tabs; qrels of each split."""
    with (folder / "collection.jsonl").open("w", encoding="utf-8") as file:
        for passage, (title, text) in data.passages.items():
            row = {"docid": passage, "title": title, "text": text}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
    queries = (f"{query}\t{text}\n" for query, text in data.queries.items())
    (folder / "topics.tsv").write_text("".join(queries), encoding="utf-8")
    for split, judged in data.judged.items():
        lines = (f"{query} 0 {passage} {grade}\n" for query, passage, grade in judged)
        (folder / f"qrels.{split}.txt").write_text("".join(lines), encoding="utf-8")


def write_huggingface(data: Data, folder: Path) -> None:
    """Triplets in a Parquet file a split."""
    for split in data.judged:
        columns = zip(*data.positives(split), strict=True)
        table = pa.table(dict(zip(("anchor", "positive", "negative"), columns, strict=True)))
        pq.write_table(table, folder / f"{split}.parquet")


def write_tables(data: Data, folder: Path) -> None:
    """Corpus, queries and qrels as tables of their own."""
    ids, texts = list(data.passages), [text for _, text in data.passages.values()]
    pq.write_table(pa.table({"passage_id": ids, "text": texts}), folder / "corpus.parquet")
    queries = {"query_id": list(data.queries), "text": list(data.queries.values())}
    pq.write_table(pa.table(queries), folder / "queries.parquet")
    for split, judged in data.judged.items():
        found = zip(*judged, strict=True)
        columns = dict(zip(("query_id", "passage_id", "grade"), found, strict=True))
        pq.write_table(pa.table(columns), folder / f"qrels_{split}.parquet")


def write_pairs(data: Data, path: Path) -> None:
    """A CSV of judged pairs under column names of its own."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file)
        out.writerow(("qid", "question", "did", "head", "body", "rel", "part"))
        for split, judged in data.judged.items():
            for query, passage, grade in judged:
                row = (query, data.queries[query], passage, *data.passages[passage], grade, split)
                out.writerow(row)


def tried(command: str, folder: Path) -> str:
    """What a command prints in a folder; it must end with 0."""
    words = [sys.executable, "-m", "strop.cli", *shlex.split(command)[1:]]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command}: {done.stdout}{done.stderr}")
    return " ".join(done.stdout.split())


def main() -> None:
    """Write the formats, run the commands, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, nargs="+", help="folders in BEIR layout")
    given = parser.parse_args()
    names = " ".join(path.name for path in given.data)
    print("# Every format tried\n")
    print(f"- Command: `python benchmarks/formats.py {names}`")
    print(f"- Date: {date.today()}")
    print(f"- Versions: Python {platform.python_version()}, strop {version('strop')}\n")
    print("| command | what it printed |\n|---|---|")
    for path in given.data:
        with tempfile.TemporaryDirectory() as out:
            folder, data = Path(out), read(path)
            (folder / path.name).symlink_to(path.resolve())
            for write in (write_flagembedding, write_trec, write_huggingface, write_tables):
                inside = folder / write.__name__.removeprefix("write_")
                inside.mkdir()
                write(data, inside)
            write_pairs(data, folder / "pairs.csv")
            for command in (each.format(name=path.name) for each in COMMANDS):
                print(f"| `{command}` | {tried(command, folder)} |", flush=True)


if __name__ == "__main__":
    main()
