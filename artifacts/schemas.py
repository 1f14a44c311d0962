"""The declared Arrow schemas of every table in the store, by artifact kind."""

import pyarrow as pa

ID = pa.string()
LABEL = pa.dictionary(pa.int32(), pa.string())


def _schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in columns.items()])


def _nullable(schema: pa.Schema, *names: str) -> pa.Schema:
    for name in names:
        index = schema.get_field_index(name)
        schema = schema.set(index, schema.field(index).with_nullable(True))
    return schema


CORPUS = _nullable(_schema(passage_id=ID, title=ID, text=ID, parent_id=ID), "parent_id")
QUERIES = _schema(query_id=ID, text=ID, split=LABEL, weight=pa.float32(), group_id=ID)
QRELS = _schema(query_id=ID, passage_id=ID, grade=pa.int32(), split=LABEL)

CANDIDATES = _schema(
    query_id=ID, passage_id=ID, rank=pa.int32(), score=pa.float32(), source=LABEL, split=LABEL
)
TOKENS = _schema(id=ID, token_ids=pa.list_(pa.int32()))
SCORES = _schema(query_id=ID, passage_id=ID, score=pa.float32())

SELECTION = _nullable(
    _schema(
        query_id=ID,
        passage_id=ID,
        rank=pa.int32(),
        first_stage_score=pa.float32(),
        reranker_score=pa.float32(),
        mining_score=pa.float32(),
        decision=LABEL,
        rule=LABEL,
        sampler=LABEL,
    ),
    "rank",
    "first_stage_score",
    "reranker_score",
    "mining_score",
)
NEGATIVE = pa.struct(
    [
        pa.field("passage_id", pa.string(), nullable=False),
        pa.field("score", pa.float32()),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("sampler", pa.string(), nullable=False),
        pa.field("hardness", pa.float32()),
    ]
)
NEGATIVES = _schema(
    query_id=ID,
    positive_ids=pa.list_(pa.string()),
    negatives=pa.list_(NEGATIVE),
    group_size=pa.int32(),
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
    ),
    "score",
)
TRAIN_LOG = _schema(
    step=pa.int32(),
    epoch=pa.float32(),
    groups=pa.int32(),
    pairs=pa.int32(),
    tokens=pa.int64(),
    loss=pa.float32(),
    gradient_norm=pa.float32(),
    learning_rate=pa.float32(),
)
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
RESULTS = _nullable(
    _schema(
        round=pa.int32(),
        split=LABEL,
        ranking=LABEL,
        depth=pa.int32(),
        metric=LABEL,
        value=pa.float64(),
        ci_low=pa.float64(),
        ci_high=pa.float64(),
        n=pa.int32(),
        difference=pa.float64(),
        difference_ci_low=pa.float64(),
        difference_ci_high=pa.float64(),
        p_value=pa.float64(),
    ),
    "difference",
    "difference_ci_low",
    "difference_ci_high",
    "p_value",
)
"""Every round's rankings against the first stage: the table of a report and of ``--json``."""
DIAGNOSIS_SUMMARY = _schema(split=LABEL, name=LABEL, value=pa.float64())
DIAGNOSIS_HISTOGRAM = _schema(
    split=LABEL, label=LABEL, low=pa.float64(), high=pa.float64(), count=pa.int64()
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
    "dataset": {"corpus": CORPUS, "queries": QUERIES, "qrels": QRELS},
    "model": {},
    "embeddings": {},
    "index": {},
    "candidates": {"candidates": CANDIDATES, "positives": SCORES},
    "tokens": {"passages": TOKENS, "queries": TOKENS},
    "scores": {"scores": SCORES},
    "selection": {"selection": SELECTION},
    "negatives": {"negatives": NEGATIVES},
    "suspects": {"suspects": SUSPECTS},
    "reranker": {"train_log": TRAIN_LOG},
    "ranking": {"ranking": RANKING},
    "metrics": {"summary": METRICS_SUMMARY, "per_query": METRICS_PER_QUERY},
    "diagnosis": {"summary": DIAGNOSIS_SUMMARY, "histogram": DIAGNOSIS_HISTOGRAM},
    "decision": {"decision": DECISION},
    "report": {"results": RESULTS},
}
"""Declared tables by artifact kind; embedding tables get their width from `vectors`."""

KINDS = tuple(TABLES)
