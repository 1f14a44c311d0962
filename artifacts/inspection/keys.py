"""What makes a row of each table the same row in another artifact, for comparing two of a kind."""

from dataclasses import dataclass

from strop.artifacts.inspection.query import UNDECLARED
from strop.artifacts.schemas import TABLES

PAIR = ("query_id", "passage_id")
MEASURED = ("split", "ranking", "depth", "metric")


@dataclass(frozen=True)
class Comparison:
    """How a table is compared: rows are the same row where ``key`` is equal.

    ``columns`` is the SQL of what is compared, from the table ``t``. ``measure`` is a number whose
    gains and losses are counted, within each value of ``within``.
    """

    title: str
    table: str
    key: tuple[str, ...]
    columns: str = "*"
    source: str = "t"
    measure: str | None = None
    within: tuple[str, ...] = ()


def _unnested(title: str, column: str) -> Comparison:
    """One row a member of a list of passages."""
    return Comparison(
        title,
        "negatives",
        PAIR,
        columns="query_id, chosen.passage_id AS passage_id, chosen.* EXCLUDE (passage_id)",
        source=f"(SELECT query_id, unnest({column}) AS chosen FROM t)",
    )


CALIBRATED = ("split", "calibration")
BIN = (*CALIBRATED, "low")

KEYS: dict[str, dict[str, tuple[str, ...]]] = {
    "dataset": {
        "corpus": ("passage_id",),
        "documents": ("passage_id",),
        "queries": ("query_id",),
        "query_fields": ("query_id", "field"),
        "qrels": (*PAIR, "split"),
        "pool": PAIR,
        "teacher_scores": PAIR,
    },
    "embeddings": {"passages": ("id",), "queries": ("id",)},
    "run_file": {"run": PAIR},
    "candidates": {"candidates": (*PAIR, "source"), "positives": PAIR},
    "tokens": {"passages": ("id",), "queries": ("id",)},
    "scores": {"scores": PAIR},
    "selection": {"selection": PAIR, "group_sizes": ("query_id",)},
    "changes": {"changes": PAIR},
    "suspects": {"suspects": PAIR},
    "verdicts": {"verdicts": PAIR},
    "drift": {"negatives": PAIR, "queries": ("query_id",)},
    "curriculum": {"curriculum": ("round",)},
    "reranker": {"train_log": ("step",), "dev_log": ("step", "metric")},
    "ranking": {"ranking": PAIR, "passages": PAIR},
    "metrics": {"summary": MEASURED, "per_query": ("query_id", *MEASURED)},
    "breakdown": {
        "depths": ("round", *MEASURED),
        "slices": ("round", "split", "ranking", "metric", "by", "slice"),
        "power": ("split", "metric"),
    },
    "latency": {"timed": ("query_id", "depth")},
    "diagnosis": {
        "summary": ("split", "name"),
        "histogram": ("split", "label", "low"),
        "alarms": ("split", "name"),
        "reliability": BIN,
    },
    "calibration": {"measures": CALIBRATED, "reliability": BIN},
    "calibration_metrics": {"measures": CALIBRATED, "reliability": BIN},
    "decision": {"decision": ("subject", "split", "metric")},
    "report": {"results": ("round", *MEASURED), "outside": ("name", "role", *MEASURED)},
    "comparison": {
        "arms": ("arm", "seed", "round", "final", "split", "ranking", "metric"),
        "differences": ("arm", "opponent", "split", "ranking", "metric"),
    },
}
"""The columns that name a row; negatives are compared one by one instead, see `comparisons`."""

MEASURES: dict[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    ("scores", "scores"): ("score", ()),
    ("candidates", "candidates"): ("score", ("source",)),
    ("selection", "selection"): ("mining_score", ()),
    ("ranking", "ranking"): ("score", ("split",)),
    ("metrics", "summary"): ("value", ()),
    ("metrics", "per_query"): ("value", MEASURED),
    ("report", "results"): ("value", ()),
}
"""The number of a table whose gains and losses people look for, and what they are counted by."""

NEGATIVES = (
    _unnested("negatives", "negatives"),
    _unnested("positives", "positives"),
    Comparison("groups", "negatives", ("query_id",), columns="* EXCLUDE (positives, negatives)"),
)


def comparisons(kind: str) -> tuple[Comparison, ...]:
    """How artifacts of a kind are compared, table by table."""
    if kind == "negatives":
        return NEGATIVES
    return tuple(_plain(kind, table) for table in {**TABLES[kind], **UNDECLARED.get(kind, {})})


def _plain(kind: str, table: str) -> Comparison:
    measure, within = MEASURES.get((kind, table), (None, ()))
    return Comparison(table, table, KEYS[kind][table], measure=measure, within=within)
