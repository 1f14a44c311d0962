"""The tables that tell how a reranker's scores lie, and how far they are from probabilities."""

import pyarrow as pa

from strop.artifacts.columns import LABEL, schema

DIAGNOSIS_SUMMARY = schema(split=LABEL, name=LABEL, value=pa.float64())
DIAGNOSIS_HISTOGRAM = schema(
    split=LABEL, label=LABEL, low=pa.float64(), high=pa.float64(), count=pa.int64()
)
RELIABILITY = schema(
    split=LABEL,
    calibration=LABEL,
    low=pa.float64(),
    high=pa.float64(),
    mean_predicted=pa.float64(),
    share_positive=pa.float64(),
    count=pa.int64(),
)
"""Bins of candidates by probability; ``calibration`` is none for the sigmoid of the logit."""
CALIBRATION_MEASURES = schema(
    split=LABEL,
    calibration=LABEL,
    ece=pa.float64(),
    brier=pa.float64(),
    num_candidates=pa.int64(),
    num_positives=pa.int64(),
    num_queries=pa.int64(),
)
"""How far probabilities are from what is labelled: on dev out of fold, on test once."""
