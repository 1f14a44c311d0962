"""Mining against `mine_hard_negatives` and FlagEmbedding's scripts.

    python -m benchmarks.speed.mining DATA --peers PYTHON --scripts FLAGEMBEDDING/scripts

Every side encodes the corpus and the queries, retrieves, scores all candidates and positives with
the cross-encoder, and chooses the highest that score no more than the positive. A ratio is reported
only when the chosen negatives agree. FlagEmbedding's scripts are in its repository alone.
"""

from pathlib import Path
from typing import Any

from benchmarks.speed import inputs, results
from benchmarks.speed.side_by_side import (
    Process,
    Side,
    alternate,
    middle,
    ratio,
    versions_of,
)
from strop.pipeline.config import BiEncoder
from strop.pipeline.first_stage.encoding import Encoder
from strop.pipeline.models import resolve_model

OVERLAP = 0.99
ENCODER_TOKENS = 256
HEADER = ["side", "pairs", "pairs a CPU second", "CPU ratio", "wall ratio", "same negatives"]


def main() -> None:
    """Compare, and write or check the table."""
    parser = inputs.parser("Mining, side by side.")
    parser.add_argument("--scripts", type=Path, required=True)
    parser.add_argument("--queries", type=int, default=16)
    parser.add_argument("--passages", type=int, default=300)
    parser.add_argument("--depth", type=int, default=30)
    parser.add_argument("--negatives", type=int, default=8)
    arguments = inputs.parsed(parser)
    processes, count = compare(arguments)
    pairs = count * arguments.depth
    rows = [row(process, processes[0], pairs) for process in processes]
    again = middle(processes[0], "selecting")
    page = results.markdown(
        "Mining: encoding, retrieval, scoring, selection",
        [
            *results.circumstances(versions_of(processes), arguments.threads),
            "Ratio: the peer's seconds over strop's of neighbouring runs; median (lowest–highest) "
            f"of {arguments.rounds}",
            f"{count} queries, {arguments.passages} passages, {arguments.depth} candidates a query "
            f"scored, the {arguments.negatives} highest below the positive taken",
            "Same negatives: the share of strop's that the other side chose, too",
            f"Choosing again from the scores that are there: {again:.3f} s (wall), no forward pass",
        ],
        HEADER,
        rows,
    )
    name = f"speed_mining_{arguments.data.name}"
    raise SystemExit(not results.publish(name, page, write=not arguments.quick))


def compare(arguments: Any) -> tuple[list[Process], int]:
    """The sides after their runs, and the number of queries."""
    bi_encoder = resolve_model("bundled")
    settings = {
        "step": "mining",
        "max_tokens": 512,
        "max_query": 64,
        "encoder_tokens": ENCODER_TOKENS,
        "bi_encoder": str(bi_encoder.path),
        "depth": arguments.depth,
        "negatives": arguments.negatives,
        "scripts": str(arguments.scripts.resolve()),
    }
    own = inputs.own_python()
    sides = [
        Side("strop", "strop_side.py", own),
        Side("sentence-transformers", "sentence_transformers_side.py", own),
        Side("FlagEmbedding", "flagembedding_side.py", arguments.peers),
    ]
    texts, passages, judged = inputs.read_beir(arguments.data, join=1)
    corpus = list(dict.fromkeys(passages))[: arguments.passages]
    asked = found_queries(texts, corpus, passages, judged, arguments)
    with inputs.folder_with(settings) as folder:
        inputs.write_lines(folder / "corpus.jsonl", corpus)
        inputs.write_lines(folder / "queries.jsonl", asked)
        processes = alternate(
            sides, folder, threads=arguments.threads, rounds=arguments.rounds, warm=16
        )
    return processes, len(asked)


def found_queries(
    texts: list[str],
    corpus: list[str],
    passages: list[str],
    judged: list[tuple[int, int]],
    arguments: Any,
) -> list[dict[str, Any]]:
    """Queries with one positive in the corpus that retrieval finds, the first of the file.

    FlagEmbedding's script draws at random where it does not.
    """
    place = {text: row for row, text in enumerate(corpus)}
    wanted: dict[str, set[int]] = {}
    for query, passage in judged:
        if passages[passage] in place:
            wanted.setdefault(texts[query], set()).add(place[passages[passage]])
    single = [(text, min(rows)) for text, rows in wanted.items() if len(rows) == 1]
    single = single[: 2 * arguments.queries]
    encoder = Encoder(resolve_model("bundled"), BiEncoder(max_tokens=ENCODER_TOKENS))
    vectors = encoder.encode(corpus, prompt="")
    asked = encoder.encode([text for text, _ in single], prompt="")
    similar = asked @ vectors.T
    found = [
        {"text": text, "positive": row}
        for number, (text, row) in enumerate(single)
        if (similar[number] > similar[number, row]).sum() < arguments.depth - 1
    ]
    return found[: arguments.queries]


def row(process: Process, ours: Process, pairs: int) -> list[str]:
    """One side's row; raises `RuntimeError` when its negatives differ from strop's."""
    expected, found = ours.answers[-1]["chosen"], process.answers[-1]["chosen"]
    total = sum(len(texts) for texts in expected.values())
    same = sum(len(set(texts) & set(found.get(query, []))) for query, texts in expected.items())
    more = sum(len(texts) for texts in found.values())
    overlap = same / max(total, more)
    if overlap < OVERLAP:
        raise RuntimeError(
            f"{process.side.name}: {overlap:.3f} of the negatives agree ({same} of {total} and "
            f"{more}); no ratio"
        )
    itself = process is ours
    return [
        process.side.name,
        f"{pairs:,}",
        f"{pairs / middle(process, 'cpu'):.1f}",
        "–" if itself else str(ratio(ours, process)),
        "–" if itself else str(ratio(ours, process, "wall")),
        f"{overlap:.3f}",
    ]


if __name__ == "__main__":
    main()
