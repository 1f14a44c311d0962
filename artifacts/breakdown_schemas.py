"""The tables that tell where a ranking's quality comes from, and what is wrong with its scores."""

import pyarrow as pa

from strop.artifacts.columns import ID, LABEL, schema

DEPTHS = schema(
    round=pa.int32(),
    split=LABEL,
    ranking=LABEL,
    depth=pa.int32(),
    metric=LABEL,
    value=pa.float64(),
    ci_low=pa.float64(),
    ci_high=pa.float64(),
    n=pa.int32(),
)
"""The metrics of every round had fewer candidates been reranked; the first stage is round 0."""
SLICES = schema(
    round=pa.int32(),
    split=LABEL,
    ranking=LABEL,
    metric=LABEL,
    by=LABEL,
    slice=LABEL,
    n=pa.int32(),
    value=pa.float64(),
    first_stage_value=pa.float64(),
    difference=pa.float64(),
    ci_low=pa.float64(),
    ci_high=pa.float64(),
)
"""A ranking against the first stage on the queries of each slice; the bounds are of the change."""
POWER = schema(
    split=LABEL,
    metric=LABEL,
    n=pa.int32(),
    num_clusters=pa.int32(),
    smallest_detectable=pa.float64(),
)
TIMED = schema(query_id=ID, depth=pa.int32(), pairs=pa.int32())
"""What was timed; how long it took is an execution fact and stands in the manifest alone."""
DIAGNOSIS_ALARMS = schema(
    split=LABEL,
    name=LABEL,
    value=pa.float64(),
    limit=pa.float64(),
    evidence=pa.string(),
    cause=pa.string(),
    remedy=pa.string(),
)
"""What is alarming: a number past its limit, in words, its likely cause and the key to turn."""
