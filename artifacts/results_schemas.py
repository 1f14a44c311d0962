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
