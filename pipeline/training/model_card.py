"""The model card of a tuned reranker."""

from typing import Any

CARD = """---
library_name: sentence-transformers
pipeline_tag: text-ranking
tags: [cross-encoder, reranker, strop]
---

# Reranker, round {round} of {rounds}

A cross-encoder reranker tuned by strop {version}. It gives one logit to a query and a passage: the
higher, the more relevant. Only differences within one query mean something.

| | |
|---|---|
| trained from | strop artifact `{parent}` |
| trained on | {queries:,} queries, {pairs:,} pairs |
| tokens of a pair | {max_tokens} (query at most {max_query_tokens}) |

```python
from sentence_transformers import CrossEncoder

scores = CrossEncoder("PATH").predict([("a query", "a passage")])
```
"""


def model_card(**values: Any) -> str:
    """The card's text."""
    return CARD.format(**values)
