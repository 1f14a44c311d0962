"""The ranking of a user's own run, over the candidates that rerankers are compared on."""

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.schemas import RANKING
from strop.pipeline.evaluation.ranking import encode, rank_within

KEYS = ["query_id", "passage_id"]


@dataclass(frozen=True)
class RunRanking:
    """A ``ranking`` table without fusion, and the rows of the run that are no candidates."""

    table: pa.Table
    num_others: int


def run_ranking(run: pa.Table, candidates: pa.Table) -> RunRanking:
    """The run's order of the candidates; those that it lacks are not ranked, and so are misses.

    Passages of these queries that are no candidates are left out and counted: with them the run
    would be compared for what it retrieved and not for how it ranks.
    """
    asked = run.filter(pc.is_in(run["query_id"], value_set=pc.unique(candidates["query_id"])))
    first_stage = candidates.select([*KEYS, "rank", "score", "split"])
    names = [*KEYS, "first_stage_rank", "first_stage_score", "split"]
    found = asked.join(first_stage.rename_columns(names), KEYS, join_type="inner")
    found = found.sort_by([("query_id", "ascending"), ("rank", "ascending")])
    codes, _ = encode(found["query_id"])
    nothing = pa.nulls(len(found))
    columns = {name: found[name] for name in RANKING.names if name in found.column_names}
    columns["rank"] = rank_within(codes, -found["rank"].to_numpy().astype(float))
    columns |= {"fused_rank": nothing, "fused_score": nothing}
    table = pa.table({name: columns[name] for name in RANKING.names}).cast(RANKING)
    return RunRanking(table, len(asked) - len(found))
