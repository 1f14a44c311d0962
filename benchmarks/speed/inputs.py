"""What a comparison reads: texts of a BEIR folder, pairs and groups of them, and the weights."""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from transformers.utils import logging

from strop.pipeline.models import resolve_model
from strop.pipeline.scoring.reranker import initialise, save_reranker

QUICK_ROUNDS = 2
"""Alternations of a quick look."""


def parser(description: str) -> argparse.ArgumentParser:
    """The options that every step has."""
    found = argparse.ArgumentParser(description=description)
    found.add_argument("data", type=Path, help="folder in BEIR layout")
    found.add_argument("--peers", required=True, help="Python that has FlagEmbedding")
    found.add_argument("--rounds", type=int, default=3, help="alternations that count")
    found.add_argument("--threads", type=int, default=1)
    found.add_argument("--seed", type=int, default=1)
    found.add_argument(
        "--quick",
        action="store_true",
        help="two alternations of the same work, compared with the last table",
    )
    return found


def parsed(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """What was asked for; quick is fewer alternations, since less work has other ratios.

    From then on transformers tells neither its progress nor that a fresh head is fresh.
    """
    given = parser.parse_args()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    if given.quick:
        given.rounds = min(given.rounds, QUICK_ROUNDS)
    return given


@contextmanager
def folder_with(settings: dict[str, Any]) -> Iterator[Path]:
    """A folder with the settings and a MiniLM with a seeded one-logit head."""
    with tempfile.TemporaryDirectory(prefix="strop-speed-") as name:
        folder = Path(name)
        (folder / "settings.json").write_text(json.dumps(settings))
        base = resolve_model("bundled").path
        reranker, _ = initialise(base, "bundled", seed=1, trust_remote_code=False)
        save_reranker(
            reranker, folder / "model", max_tokens=settings["max_tokens"], card="For a benchmark.\n"
        )
        yield folder


def write_lines(path: Path, values: Iterable[Any]) -> None:
    """A JSON-lines file."""
    path.write_text("".join(json.dumps(value) + "\n" for value in values), encoding="utf-8")


def read_beir(folder: Path, *, join: int) -> tuple[list[str], list[str], list[tuple[int, int]]]:
    """Queries, passages (``join`` in a row as one), and the train split's positives as places."""
    corpus = _lines(folder / "corpus.jsonl")
    texts = [f"{row.get('title', '')} {row['text']}".strip() for row in corpus]
    passages = [" ".join(texts[start : start + join]) for start in range(0, len(texts), join)]
    place = {row["_id"]: number // join for number, row in enumerate(corpus)}
    queries = _lines(folder / "queries.jsonl")
    number = {row["_id"]: row_number for row_number, row in enumerate(queries)}
    rows = [line.split("\t") for line in (folder / "qrels/train.tsv").read_text().splitlines()[1:]]
    judged = [(number[row[0]], place[row[1]]) for row in rows if int(row[2]) > 0]
    return [row["text"] for row in queries], passages, judged


def _lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def drawn_groups(
    data: Path, *, join: int, groups: int, size: int, seed: int
) -> list[dict[str, Any]]:
    """Queries of the train split, each with a positive first and drawn other passages after it."""
    queries, passages, judged = read_beir(data, join=join)
    positives: dict[int, set[int]] = {}
    for query, passage in judged:
        positives.setdefault(query, set()).add(passage)
    random = np.random.default_rng(seed)
    found = []
    for query in random.permutation(sorted(positives))[:groups].tolist():
        others = [
            p for p in random.permutation(len(passages)).tolist() if p not in positives[query]
        ]
        members = [min(positives[query]), *others[: size - 1]]
        found.append({"query": queries[query], "texts": [passages[p] for p in members]})
    return found


def own_python() -> str:
    """The interpreter that has strop and sentence-transformers."""
    return sys.executable
