"""The declared Arrow schemas of a report's results: the run's own rounds, and those beside them."""

import pyarrow as pa

from strop.artifacts.columns import ID, LABEL, nullable, schema

MEASURED = {
    "split": LABEL,
    "ranking": LABEL,
    "depth": pa.int32(),
    "metric": LABEL,
    "value": pa.float64(),
    "ci_low": pa.float64(),
    "ci_high": pa.float64(),
    "n": pa.int32(),
}
CHANGE = {
    "difference": pa.float64(),
    "difference_ci_low": pa.float64(),
    "difference_ci_high": pa.float64(),
    "p_value": pa.float64(),
    "adjusted_p_value": pa.float64(),
}
RESULTS = nullable(schema(round=pa.int32(), **MEASURED, **CHANGE), *CHANGE)
"""Every round's rankings against the first stage: the table of a report and of ``--json``."""
OUTSIDE = nullable(schema(name=ID, role=LABEL, **MEASURED, **CHANGE), *CHANGE)
"""The same for rerankers that are none of the run's: ``off the shelf``, the ``champion`` of another
run, and the ``champion before`` a round of this run was promoted."""

COMPARISON_ARMS = nullable(
    schema(
        arm=LABEL,
        seed=pa.int64(),
        round=pa.int32(),
        final=pa.bool_(),
        split=LABEL,
        ranking=LABEL,
        metric=LABEL,
        value=pa.float64(),
        trained_pairs=pa.int64(),
        scored_pairs=pa.int64(),
    ),
    "trained_pairs",
    "scored_pairs",
)
"""Every arm's rounds on dev, and its last accepted one, which ``final`` tells, on test. Pairs are
those up to the round: trained ones, and those that were scored to mine it; null for rerankers that
were not trained here."""
COMPARISON_DIFFERENCES = nullable(
    schema(
        arm=LABEL,
        opponent=LABEL,
        split=LABEL,
        ranking=LABEL,
        metric=LABEL,
        value=pa.float64(),
        spread=pa.float64(),
        difference=pa.float64(),
        ci_low=pa.float64(),
        ci_high=pa.float64(),
        p_value=pa.float64(),
        num_seeds=pa.int32(),
        n=pa.int32(),
    ),
    "spread",
    "difference",
    "ci_low",
    "ci_high",
    "p_value",
)
"""The arms' final rounds against one of them, every query's value the mean over the seeds;
``spread`` is the standard deviation of the means over seeds."""
