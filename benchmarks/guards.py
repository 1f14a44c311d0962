"""The guard benchmark: how well guards find false negatives where the truth is known.

A data set in which every passage is judged keeps a few of each training query's positives; those
that it hides are real false negatives among the candidates. Run

    python benchmarks/guards.py ../shared/data/banking77

A scored candidate is *refused* where a guard takes it for a positive. ``--write-reduced FOLDER``
writes the reduced data set for training on it. A reranker remembers the queries that it was trained
on: ``--trained-on``, its round's table of negatives, parts recall into seen and unseen queries.
"""

import argparse
import datetime
import importlib.metadata
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from reduced_truth import Truth, read_truth, write_reduced
from rich.console import Console
from rich.table import Table

from strop.pipeline.arrays import Floats, Ints
from strop.pipeline.config import BUNDLED, BiEncoder, Mining, Reranker
from strop.pipeline.first_stage.encoding import Encoder
from strop.pipeline.mining.calibration import fit_calibration
from strop.pipeline.mining.fitted_guard import fit_margin, fit_probability
from strop.pipeline.mining.guards import (
    Reference,
    above_margin,
    above_percentage,
    above_probability,
    above_relative,
    positive_reference,
)
from strop.pipeline.mining.samplers import SAMPLERS, Draw
from strop.pipeline.models import resolve_model
from strop.pipeline.seeds import generator

DEPTH = 50
NEGATIVES = 15
HEADER = [
    "guard",
    "threshold",
    "precision",
    "recall",
    "refused",
    "false in top",
    "false in mixed",
    "negatives",
]
MARGINS = {
    "cosine": (-0.1, -0.05, 0.0, 0.05, 0.1, 0.2),
    "reranker": (-4.0, -2.0, 0.0, 2.0, 4.0, 8.0),
}


@dataclass(frozen=True)
class Rows:
    """Candidates and kept positives of a split in parallel columns, sorted by query."""

    codes: Ints
    passages: Ints
    positive: Any
    hidden: Any
    in_window: Any
    scores: dict[str, Floats]
    seen: Any
    """Whether the reranker was trained on the row's query; None where nobody told."""

    @property
    def num_queries(self) -> int:
        """The number of queries."""
        return int(self.codes.max()) + 1

    @property
    def candidate(self) -> Any:
        """Which rows may become negatives."""
        return self.in_window & ~self.positive


@dataclass(frozen=True)
class Outcome:
    """What one guard refuses, and by which threshold it was decided."""

    name: str
    threshold: str
    refused: Any


def rows_of(truth: Truth, reranker: str | None, trained_on: Path | None) -> Rows:
    """The `DEPTH` candidates of each query by cosine and its kept positives, all scored."""
    encoder = Encoder(resolve_model(BUNDLED), BiEncoder())
    cosines = encoder.encode(truth.queries, prompt="") @ encoder.encode(truth.passages, prompt="").T
    found = np.zeros(cosines.shape, bool)
    best = np.argsort(-cosines, axis=1, kind="stable")[:, :DEPTH]
    np.put_along_axis(found, best, True, axis=1)
    codes, passages = np.nonzero(found | truth.kept)
    at = (codes, passages)
    scores = {"cosine": cosines[at].astype(np.float64)}
    if reranker:
        scores["reranker"] = reranker_scores(truth, codes, passages, reranker)
    hidden = (truth.relevant & ~truth.kept)[at]
    seen = None if trained_on is None else seen_queries(truth, trained_on)[codes]
    return Rows(codes, passages, truth.kept[at], hidden, found[at], scores, seen)


def seen_queries(truth: Truth, negatives: Path) -> Any:
    """Which queries have a row in a table of negatives; bool a query."""
    trained = pq.read_table(negatives, columns=["query_id"])["query_id"]
    found = pc.is_in(pa.array(truth.query_ids), value_set=pc.unique(trained.cast(pa.string())))
    return found.to_numpy(zero_copy_only=False)


def reranker_scores(truth: Truth, codes: Ints, passages: Ints, name: str) -> Floats:
    """The logits of a one-logit cross-encoder."""
    from strop.pipeline.scoring.reranker import load_reranker
    from strop.pipeline.scoring.scorer import PairSource, Scorer
    from strop.pipeline.scoring.tokens import TokenTable, tokenize

    config = Reranker(base=name, max_tokens=128)
    loaded = load_reranker(resolve_model(name).path)
    source = PairSource(
        TokenTable(
            tokenize(loaded.tokenizer, pa.chunked_array([truth.query_ids]), truth.queries, 64)
        ),
        TokenTable(
            tokenize(loaded.tokenizer, pa.chunked_array([truth.passage_ids]), truth.passages, 128)
        ),
    )
    return Scorer(loaded, source, config).score_rows(codes, passages).astype(np.float64)


def guards(rows: Rows, dev: Rows) -> Iterator[Outcome]:
    """Every guard with every scorer: what it refuses of the rows."""
    yield Outcome("none", "", np.zeros(len(rows.codes), bool))
    for scorer, scores in rows.scores.items():
        yield from _margins(rows, scorer, scores)
        yield from _probabilities(rows, scorer, dev)
    yield from _shares_and_caps(rows, rows.scores["cosine"])
    if len(rows.scores) > 1:
        fitted = [_fitted(rows, scores, "mean", 0.9)[0] for scores in rows.scores.values()]
        yield Outcome("both: margin fitted to 0.9", "", np.all(fitted, axis=0))
        yield Outcome("either: margin fitted to 0.9", "", np.any(fitted, axis=0))


def _margins(rows: Rows, scorer: str, scores: Floats) -> Iterator[Outcome]:
    for margin in MARGINS[scorer]:
        refused = above_margin(scores, _reference(rows, scores, "mean"), margin)
        yield Outcome(f"{scorer}: margin", f"{margin:g}", refused)
    for share in (0.8, 0.9, 0.95):
        refused, text = _fitted(rows, scores, "mean", share)
        yield Outcome(f"{scorer}: margin fitted to {share:g}", text, refused)
    others: tuple[Reference, ...] = ("weakest", "strongest")
    for reference in others:
        refused, text = _fitted(rows, scores, reference, 0.9)
        yield Outcome(f"{scorer}: margin fitted to 0.9, {reference} positive", text, refused)


def _fitted(rows: Rows, scores: Floats, reference: Reference, share: float) -> tuple[Any, str]:
    found = fit_margin(
        rows.codes,
        scores,
        rows.positive,
        reference=reference,
        caught_share=share,
        in_window=rows.in_window,
    )
    refused = above_margin(scores, _reference(rows, scores, reference), found.threshold)
    return refused, f"{found.threshold:.3f} (caught {found.caught_share:.2f})"


def _probabilities(rows: Rows, scorer: str, dev: Rows) -> Iterator[Outcome]:
    # Fitted to all judged positives, those that retrieval missed would pull the curve down.
    window = dev.in_window
    for name, relevant in (("sparse", dev.positive), ("whole", dev.positive | dev.hidden)):
        curve = fit_calibration(dev.scores[scorer][window], relevant[window])
        probabilities = curve.probability(rows.scores[scorer])
        refused = above_probability(probabilities, 0.5)
        yield Outcome(f"{scorer}: probability, {name} dev", "0.5", refused)
    for share in (0.8, 0.9, 0.95):
        found = fit_probability(
            probabilities, rows.positive, caught_share=share, in_window=rows.in_window
        )
        refused = above_probability(probabilities, found.threshold)
        text = f"{found.threshold:.3f} (caught {found.caught_share:.2f})"
        yield Outcome(f"{scorer}: probability fitted to {share:g}", text, refused)


def _shares_and_caps(rows: Rows, cosines: Floats) -> Iterator[Outcome]:
    reference = _reference(rows, cosines, "mean")
    for share in (0.0, 0.05, 0.1, 0.2):
        yield Outcome("cosine: relative", f"{share:g}", above_relative(cosines, reference, share))
    for share in (0.95, 0.9):
        refused = above_percentage(cosines, reference, share)
        yield Outcome("cosine: percentage", f"{share:g}", refused)
    for cap in (0.6, 0.7, 0.8):
        yield Outcome("cosine: max_score", f"{cap:g}", cosines > cap)


def _reference(rows: Rows, scores: Floats, reference: Reference) -> Floats:
    found = positive_reference(rows.codes, scores, rows.positive, rows.num_queries, reference)
    return found[rows.codes]


def measured(rows: Rows, outcome: Outcome, *, seed: int) -> list[str]:
    """The table's row of one guard; shares of candidates, of hidden positives, of negatives."""
    refused = outcome.refused & rows.candidate
    hidden = rows.hidden & rows.candidate
    caught = int((refused & hidden).sum())
    mining = rows.scores.get("reranker", rows.scores["cosine"])
    samples = [sampled(rows, mining, refused, name, seed) for name in ("top", "mixed")]
    false = [f"{rows.hidden[chosen].mean():.3f}" if len(chosen) else "–" for chosen in samples]
    precision = f"{caught / refused.sum():.3f}" if refused.any() else "–"
    recall, share = caught / hidden.sum(), refused.sum() / rows.candidate.sum()
    mean = f"{len(samples[0]) / rows.num_queries:.1f}"
    parts = [] if rows.seen is None else [rows.seen, ~rows.seen]
    recalls = [f"{(refused & hidden & part).sum() / (hidden & part).sum():.3f}" for part in parts]
    return [
        outcome.name,
        outcome.threshold,
        precision,
        f"{recall:.3f}",
        f"{share:.3f}",
        *recalls,
        *false,
        mean,
    ]


def sampled(rows: Rows, scores: Floats, refused: Any, sampler: str, seed: int) -> Ints:
    """The rows of the negatives that are sampled from what was not refused."""
    config = Mining(sampler=cast(Any, sampler), group_size=NEGATIVES + 1)
    starts = np.searchsorted(rows.codes, np.arange(rows.num_queries + 1))
    free = rows.candidate & ~refused
    found = []
    for code in range(rows.num_queries):
        span = np.arange(starts[code], starts[code + 1])
        span = span[free[span]]
        draw = Draw(
            scores=scores[span],
            first_stage_scores=rows.scores["cosine"][span],
            positive_score=np.nan,
            count=NEGATIVES,
            hardness=1.0,
            config=config,
            random=generator(seed, "benchmark", sampler, code),
        )
        found.append(span[SAMPLERS[sampler](draw)[0]])
    return np.concatenate(found)


def header(rows: Rows) -> list[str]:
    """The table's column names."""
    parts = [] if rows.seen is None else ["recall, seen", "recall, unseen"]
    return [*HEADER[:5], *parts, *HEADER[5:]]


def markdown(names: list[str], table: list[list[str]], facts: dict[str, str]) -> str:
    """The result file: what was run on what, and the table."""
    lines = ["# Guards on known false negatives", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    lines += ["", "| " + " | ".join(names) + " |", "|---|---|" + "---:|" * (len(names) - 2)]
    lines += ["| " + " | ".join(row) + " |" for row in table]
    return "\n".join(lines) + "\n"


def facts_of(rows: Rows, folder: Path, arguments: argparse.Namespace) -> dict[str, str]:
    """What a reader needs to run it again and to read the table."""
    packages = ("numpy", "torch", "transformers", "sentence-transformers")
    versions = [f"{name} {importlib.metadata.version(name)}" for name in packages]
    found = int((rows.hidden & rows.candidate).sum())
    return {
        "Command": f"`python benchmarks/guards.py {folder.name} --keep {arguments.keep} "
        f"--seed {arguments.seed}{' --reranker FOLDER' if arguments.reranker else ''}"
        f"{' --trained-on FILE' if arguments.trained_on else ''}`",
        "Date": datetime.date.today().isoformat(),
        "Versions": ", ".join([f"Python {platform.python_version()}", *versions]),
        "Machine": f"{os.cpu_count()} CPU cores",
        "Data": f"{rows.num_queries} training queries, {arguments.keep} known positives each; the "
        f"{DEPTH} best by cosine are candidates, {found} of them hidden positives",
        "Columns": "precision and recall of the refused candidates on hidden positives; refused, "
        f"the share of all candidates; false in top and mixed, the share of {NEGATIVES} sampled "
        "negatives that are hidden positives (mixed: half hardest, half random; by the reranker's "
        "score where there is one); negatives, how many a query has left",
        "Thresholds": "fitted ones with the share of hidden positives that they caught out of "
        "fold; probabilities are calibrated on dev's candidates, with as few known positives "
        "(sparse) or all (whole)",
    }


def main() -> None:
    """Run the benchmark from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="a fully judged data set in BEIR layout")
    parser.add_argument("--keep", type=int, default=5, help="known positives of a query")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--reranker", help="folder of a one-logit cross-encoder to judge as well")
    parser.add_argument("--trained-on", type=Path, help="the negatives that it was trained on")
    parser.add_argument("--write-reduced", type=Path, metavar="FOLDER", help="write and stop")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/guards.md")
    arguments = parser.parse_args()
    out = Console() if Console().is_terminal else Console(width=130)
    if arguments.write_reduced:
        hidden = write_reduced(
            arguments.folder, arguments.write_reduced, keep=arguments.keep, seed=arguments.seed
        )
        out.print(f"{arguments.write_reduced} and, outside of it, {hidden}")
        return
    train, dev = (
        rows_of(
            read_truth(arguments.folder, split, keep=arguments.keep, seed=arguments.seed),
            arguments.reranker,
            arguments.trained_on if split == "train" else None,
        )
        for split in ("train", "dev")
    )
    found = [measured(train, one, seed=arguments.seed) for one in guards(train, dev)]
    table = Table(*header(train))
    for row in found:
        table.add_row(*row)
    out.print(table)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(
        markdown(header(train), found, facts_of(train, arguments.folder, arguments))
    )


if __name__ == "__main__":
    main()
