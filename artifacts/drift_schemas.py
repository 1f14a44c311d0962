"""The declared Arrow schemas of what new data make of a champion's old ones."""

import pyarrow as pa

from strop.artifacts.columns import ID, LABEL, schema

OLD_NEGATIVES = schema(query_id=ID, passage_id=ID, state=LABEL)
"""The negatives that the champion was trained on; ``state`` says what the new data have of them:
``same``, ``changed`` (another text), ``gone``, or ``query gone``."""
DEV_QUERIES = schema(query_id=ID, known=pa.bool_(), value=pa.float64())
"""The champion's metric on each dev query, and whether the old data had a query of its text."""
