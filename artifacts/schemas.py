"""The declared Arrow schemas of every table in the store, by artifact kind."""

import pyarrow as pa

from strop.artifacts.breakdown_schemas import DEPTHS as DEPTHS
from strop.artifacts.breakdown_schemas import DIAGNOSIS_ALARMS as DIAGNOSIS_ALARMS
from strop.artifacts.breakdown_schemas import POWER as POWER
from strop.artifacts.breakdown_schemas import SLICES as SLICES
from strop.artifacts.breakdown_schemas import TIMED as TIMED
from strop.artifacts.columns import ID as ID
from strop.artifacts.columns import LABEL as LABEL
from strop.artifacts.columns import nullable as _nullable
from strop.artifacts.columns import schema as _schema
from strop.artifacts.diagnosis_schemas import CALIBRATION_MEASURES as CALIBRATION_MEASURES
from strop.artifacts.diagnosis_schemas import DIAGNOSIS_HISTOGRAM as DIAGNOSIS_HISTOGRAM
from strop.artifacts.diagnosis_schemas import DIAGNOSIS_SUMMARY as DIAGNOSIS_SUMMARY
from strop.artifacts.diagnosis_schemas import RELIABILITY as RELIABILITY
from strop.artifacts.drift_schemas import DEV_QUERIES as DEV_QUERIES
from strop.artifacts.drift_schemas import OLD_NEGATIVES as OLD_NEGATIVES
from strop.artifacts.results_schemas import COMPARISON_ARMS as COMPARISON_ARMS
from strop.artifacts.results_schemas import COMPARISON_DIFFERENCES as COMPARISON_DIFFERENCES
from strop.artifacts.results_schemas import OUTSIDE as OUTSIDE
from strop.artifacts.results_schemas import RESULTS as RESULTS

CORPUS = _nullable(_schema(passage_id=ID, title=ID, text=ID, parent_id=ID), "parent_id")
DOCUMENTS = _schema(passage_id=ID, document_id=ID)
"""The document that a passage was cut from; there only where judgements are of documents."""
QUERIES = _schema(query_id=ID, text=ID, split=LABEL, weight=pa.float32(), group_id=ID)
QUERY_FIELDS = _schema(query_id=ID, field=LABEL, value=ID)
"""What else is known of a query, such as its language or source; there only where any is."""
QRELS = _schema(query_id=ID, passage_id=ID, grade=pa.int32(), split=LABEL)

CANDIDATES = _schema(
    query_id=ID, passage_id=ID, rank=pa.int32(), score=pa.float32(), source=LABEL, split=LABEL
)
RUN = _schema(query_id=ID, passage_id=ID, rank=pa.int32(), score=pa.float32())
TOKENS = _schema(id=ID, token_ids=pa.list_(pa.int32()))
SCORES = _schema(query_id=ID, passage_id=ID, score=pa.float32())

SELECTION = _nullable(
    _schema(
        query_id=ID,
        passage_id=ID,
        rank=pa.int32(),
        pool=LABEL,
        first_stage_score=pa.float32(),
        reranker_score=pa.float32(),
        teacher_score=pa.float32(),
        earlier_score=pa.float32(),
        mining_score=pa.float32(),
        grade=pa.int32(),
        decision=LABEL,
        rule=LABEL,
        sampler=LABEL,
        weight=pa.float32(),
    ),
    "rank",
    "first_stage_score",
    "reranker_score",
    "teacher_score",
    "earlier_score",
    "mining_score",
    "grade",
)
CHANGES = _nullable(
    _schema(query_id=ID, passage_id=ID, mining_score=pa.float32(), before=ID, after=ID),
    "mining_score",
)
"""Rows of a selection that another choice moves; ``before`` and ``after`` are decision and rule."""
GROUP_SIZES = _schema(query_id=ID, difficulty=pa.float32(), group_size=pa.int32())
"""The size that each query's group should have, by its difficulty."""
NEGATIVE = pa.struct(
    [
        pa.field("passage_id", pa.string(), nullable=False),
        pa.field("score", pa.float32()),
        pa.field("rank", pa.int32()),
        pa.field("sampler", pa.string(), nullable=False),
        pa.field("hardness", pa.float32()),
        pa.field("weight", pa.float32(), nullable=False),
        pa.field("first_stage_score", pa.float32()),
        pa.field("teacher_score", pa.float32()),
    ]
)
POSITIVE = pa.struct(
    [
        pa.field("passage_id", pa.string(), nullable=False),
        pa.field("grade", pa.int32(), nullable=False),
        pa.field("first_stage_score", pa.float32()),
        pa.field("teacher_score", pa.float32()),
    ]
)
NEGATIVES = _schema(
    query_id=ID,
    positives=pa.list_(POSITIVE),
    negatives=pa.list_(NEGATIVE),
    group_size=pa.int32(),
    difficulty=pa.float32(),
    weight=pa.float32(),
)
SUSPECTS = _nullable(
    _schema(
        query_id=ID,
        passage_id=ID,
        score=pa.float32(),
        first_stage_score=pa.float32(),
        positive_score=pa.float32(),
        rule=LABEL,
        decision=LABEL,
    ),
    "score",
    "first_stage_score",
)
VERDICTS = _schema(query_id=ID, passage_id=ID, verdict=LABEL)
"""What people said of suspects: ``relevant``, ``not relevant`` or ``unsure``; one row a pair."""
CURRICULUM = _nullable(
    _schema(
        round=pa.int32(),
        groups=pa.int32(),
        pairs=pa.int32(),
        tokens=pa.int64(),
        mean_group_size=pa.float32(),
        mean_difficulty=pa.float32(),
        hardness=pa.float32(),
        hard_share=pa.float32(),
        medium_share=pa.float32(),
        easy_share=pa.float32(),
        new_share=pa.float32(),
        suspects=pa.int32(),
        suspects_by_rule=pa.map_(pa.string(), pa.int32()),
        unfilled_slots=pa.int32(),
        violation_before=pa.float32(),
        violation_after=pa.float32(),
    ),
    "new_share",
)
"""One row a round. Shares are of its negatives: hard, medium and easy are the thirds of each
query's pool by mining score, and what was not scored is easy; new is what the last round's
negatives did not have. Violations are groups whose positive is outscored by one of its negatives,
in the first and the last tenth of training."""
TRAIN_LOG = _schema(
    step=pa.int32(),
    epoch=pa.float32(),
    groups=pa.int32(),
    pairs=pa.int32(),
    tokens=pa.int64(),
    loss=pa.float32(),
    gradient_norm=pa.float32(),
    learning_rate=pa.float32(),
    score_spread=pa.float32(),
    violation_share=pa.float32(),
)
DEV_LOG = _schema(
    step=pa.int32(), epoch=pa.float32(), metric=LABEL, value=pa.float64(), kept=pa.bool_()
)
"""What the reranker alone reached on dev during its training; the weights of one step were kept."""
RANKING = _nullable(
    _schema(
        query_id=ID,
        passage_id=ID,
        split=LABEL,
        rank=pa.int32(),
        score=pa.float32(),
        first_stage_rank=pa.int32(),
        first_stage_score=pa.float32(),
        fused_rank=pa.int32(),
        fused_score=pa.float32(),
    ),
    "score",
    "fused_rank",
    "fused_score",
)
METRICS_SUMMARY = _schema(
    split=LABEL,
    ranking=LABEL,
    depth=pa.int32(),
    metric=LABEL,
    value=pa.float64(),
    ci_low=pa.float64(),
    ci_high=pa.float64(),
    n=pa.int32(),
)
METRICS_PER_QUERY = _schema(
    query_id=ID,
    group_id=ID,
    split=LABEL,
    ranking=LABEL,
    depth=pa.int32(),
    metric=LABEL,
    value=pa.float64(),
)
DECISION = _nullable(
    _schema(
        subject=LABEL,
        split=LABEL,
        metric=LABEL,
        challenger=ID,
        opponent=ID,
        challenger_value=pa.float64(),
        opponent_value=pa.float64(),
        difference=pa.float64(),
        ci_low=pa.float64(),
        ci_high=pa.float64(),
        p_value=pa.float64(),
        n=pa.int32(),
        verdict=LABEL,
        reason=ID,
    ),
)


def vectors(dimension: int) -> pa.Schema:
    """The schema of an embedding table: one id and one float32 vector of ``dimension`` a row."""
    return _schema(id=ID, vector=pa.list_(pa.float32(), dimension))


SCHEMA_VERSION = 1
"""Raised when a declared table changes in a way that older readers would misread."""

TABLES: dict[str, dict[str, pa.Schema]] = {
    "dataset": {
        "corpus": CORPUS,
        "documents": DOCUMENTS,
        "queries": QUERIES,
        "query_fields": QUERY_FIELDS,
        "qrels": QRELS,
        "pool": RUN,
        "teacher_scores": SCORES,
    },
    "model": {},
    "embeddings": {},
    "shard": {},
    "index": {},
    "run_file": {"run": RUN},
    "candidates": {"candidates": CANDIDATES, "positives": SCORES},
    "tokens": {"passages": TOKENS, "queries": TOKENS},
    "scores": {"scores": SCORES},
    "selection": {"selection": SELECTION, "group_sizes": GROUP_SIZES},
    "changes": {"changes": CHANGES},
    "negatives": {"negatives": NEGATIVES},
    "suspects": {"suspects": SUSPECTS},
    "verdicts": {"verdicts": VERDICTS},
    "curriculum": {"curriculum": CURRICULUM},
    "reranker": {"train_log": TRAIN_LOG, "dev_log": DEV_LOG},
    "ranking": {"ranking": RANKING, "passages": RANKING},
    "metrics": {"summary": METRICS_SUMMARY, "per_query": METRICS_PER_QUERY},
    "breakdown": {"depths": DEPTHS, "slices": SLICES, "power": POWER},
    "latency": {"timed": TIMED},
    "diagnosis": {
        "summary": DIAGNOSIS_SUMMARY,
        "histogram": DIAGNOSIS_HISTOGRAM,
        "alarms": DIAGNOSIS_ALARMS,
        "reliability": RELIABILITY,
    },
    "calibration": {"measures": CALIBRATION_MEASURES, "reliability": RELIABILITY},
    "calibration_metrics": {"measures": CALIBRATION_MEASURES, "reliability": RELIABILITY},
    "decision": {"decision": DECISION},
    "drift": {"negatives": OLD_NEGATIVES, "queries": DEV_QUERIES},
    "report": {"results": RESULTS, "outside": OUTSIDE},
    "comparison": {"arms": COMPARISON_ARMS, "differences": COMPARISON_DIFFERENCES},
}
"""Declared tables by artifact kind; embedding tables get their width from `vectors`, and a shard's
table has what its stage needs of it."""

KINDS = tuple(TABLES)
