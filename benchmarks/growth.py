"""Time and memory of every stage of mining, as corpora and queries grow, and the peers' memory.

    python -m benchmarks.growth --peers PYTHON --scripts FLAGEMBEDDING/scripts

A corpus of made-up words is mined by strop's stages, each of which says its CPU seconds and its
peak memory; by `mine_hard_negatives`; and by FlagEmbedding's `hn_mine.py`. Every side is a process
of its own, with one thread and the same random bi-encoder of one layer and 384 dimensions. Tables
and a log-log plot go to ``benchmarks/results/``; what was measured is kept in ``--out``, where a
stopped benchmark goes on.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.growth_pages import memory_page, plot, stage_page
from tests.world import WORDS, tiny_model

WIDTH = 384
WORDS_A_PASSAGE, WORDS_A_QUERY = 12, 4
FEW_QUERIES, FEW_PASSAGES = 1_000, 100_000
BLOCK = 100_000


def write_corpus(folder: Path, passages: int, queries: int, seed: int) -> None:
    """A BEIR folder, in blocks: a query is words of its positive."""
    (folder / "qrels").mkdir(parents=True)
    random = np.random.default_rng(seed)
    words = np.array(WORDS)
    odds = 1 / np.arange(1, len(words) + 1)
    with (folder / "corpus.jsonl").open("w") as corpus, (folder / "pool.jsonl").open("w") as pool:
        for start in range(0, passages, BLOCK):
            count = min(BLOCK, passages - start)
            drawn = words[random.choice(len(words), (count, WORDS_A_PASSAGE), p=odds / odds.sum())]
            texts = [" ".join(row) for row in drawn.tolist()]
            rows = enumerate(texts, start)
            corpus.writelines(json.dumps({"_id": f"p{n}", "text": t}) + "\n" for n, t in rows)
            pool.writelines(json.dumps({"text": text}) + "\n" for text in texts)
            if start == 0:
                first = drawn
    judged = np.sort(random.choice(len(first), queries, replace=queries > len(first)))
    lines, mined, asked = ["query-id\tcorpus-id\tscore\n"], [], []
    for number, place in enumerate(judged.tolist()):
        chosen = random.choice(WORDS_A_PASSAGE, WORDS_A_QUERY, replace=False)
        text = " ".join(first[place][chosen])
        asked.append(json.dumps({"_id": f"q{number}", "text": text}) + "\n")
        lines.append(f"q{number}\tp{place}\t1\n")
        mined.append(json.dumps({"query": text, "pos": [" ".join(first[place])]}) + "\n")
    (folder / "queries.jsonl").write_text("".join(asked))
    (folder / "qrels" / "train.tsv").write_text("".join(lines))
    (folder / "train.jsonl").write_text("".join(mined))


def name_known_tokenizer(model: Path) -> None:
    """Name a tokenizer's class as transformers 4, with which FlagEmbedding runs, knows it too."""
    file = model / "tokenizer_config.json"
    values = json.loads(file.read_text()) | {"tokenizer_class": "BertTokenizerFast"}
    file.write_text(json.dumps(values, indent=2))


def measured(given: argparse.Namespace, side: str, passages: int, queries: int) -> Any:
    """What a side says of itself, from the file of an earlier run where there is one."""
    kept: Path = given.out / f"{side}-{passages}-{queries}.json"
    if kept.exists():
        return json.loads(kept.read_text())
    print(f"{side}: {passages:,} passages, {queries:,} queries", flush=True)
    folder = given.out / f"data-{passages}-{queries}"
    if not folder.exists():
        part = folder.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        write_corpus(part, passages, queries, given.seed)
        part.rename(folder)
    work = given.out / "work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    python = given.peers if side == "FlagEmbedding" else sys.executable
    program = Path(__file__).parent / "growth_sides.py"
    models = given.out / "models"
    command = [
        python,
        program,
        side,
        folder,
        models,
        work,
        *([given.scripts] * bool(given.scripts)),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    with (given.out / f"{side}.log").open("w") as log:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True, check=False
        )
    if done.returncode:
        raise SystemExit(f"{side} failed: {(given.out / f'{side}.log').read_text()[-1000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    kept.write_text(json.dumps(found))
    shutil.rmtree(work)
    return found


def sizes(given: argparse.Namespace) -> list[tuple[int, int]]:
    """Passages and queries of every corpus: the one grows, then the other."""
    grown = [(passages, FEW_QUERIES) for passages in given.passages]
    return [*grown, *((FEW_PASSAGES, queries) for queries in given.queries)]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, and write the pages."""
    parser = argparse.ArgumentParser(description="Growth of time and memory.")
    parser.add_argument("--passages", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--queries", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--peers", help="Python that has FlagEmbedding; without it strop alone")
    parser.add_argument("--scripts", type=Path, help="FlagEmbedding's folder `scripts`")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path("build/growth"))
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args(arguments)
    given.out.mkdir(parents=True, exist_ok=True)
    if not (given.out / "models" / "reranker").exists():
        tiny_model(given.out / "models" / "encoder", width=WIDTH, layers=1)
        tiny_model(given.out / "models" / "reranker", one_logit=True)
    for name in ("encoder", "reranker"):
        name_known_tokenizer(given.out / "models" / name)
    stages = {size: measured(given, "strop", *size) for size in sizes(given)}
    (given.results / "growth.md").write_text(stage_page(stages))
    plot(stages, given.results / "growth.svg")
    peers = ["sentence-transformers", "FlagEmbedding"] if given.peers else []
    grown = [size for size in sizes(given) if size[1] == FEW_QUERIES and size[0] >= FEW_PASSAGES]
    memory = {
        side: {size: measured(given, side, *size) for size in dict.fromkeys(grown)}
        for side in peers
    }
    if memory:
        (given.results / "memory.md").write_text(memory_page(stages, memory))


if __name__ == "__main__":
    main()
