"""Positives that the first stage does not find, told so that a data owner can look at them."""

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

KEYS = ["query_id", "passage_id"]
EXAMPLES = 3


@dataclass(frozen=True)
class Missed:
    """The positives of a data set, and those of them that are not among the candidates."""

    positives: int
    rows: pa.Table
    """Rows of the qrels, sorted by query and passage."""

    def sentence(self, depth: int) -> str:
        """How many there are, by split, the first ones, and what to look at; empty for none."""
        if not self.rows.num_rows:
            return ""
        splits = self.rows["split"].cast(pa.string()).value_counts().to_pylist()
        counts = ", ".join(sorted(f"{item['values']} {item['counts']:,}" for item in splits))
        first = "; ".join(
            f"query {row['query_id']!r}, passage {row['passage_id']!r}"
            for row in self.rows.slice(0, EXAMPLES).to_pylist()
        )
        queries = pc.count_distinct(self.rows["query_id"]).as_py()
        of = f"{queries:,} {'query' if queries == 1 else 'queries'}"
        return (
            f"The first stage does not find {self.rows.num_rows:,} of {self.positives:,} positives "
            f"among its {depth:,} best passages ({counts}), of {of}, such as "
            f"{first}: no reranker can rank these. Look whether they are judged rightly; else "
            "raise first_stage.depth or choose another first stage."
        )


def missed_positives(candidates: Iterable[pa.Table], qrels: pa.Table) -> Missed:
    """The judged positives that are not among the candidates, given in parts."""
    positives = qrels.filter(pc.greater(qrels["grade"], 0)).unify_dictionaries()
    missed = positives
    for part in candidates:
        missed = missed.join(part.select(KEYS), keys=KEYS, join_type="left anti")
    return Missed(positives.num_rows, missed.sort_by([(key, "ascending") for key in KEYS]))
