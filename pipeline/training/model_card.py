"""The model card of a tuned reranker."""

from collections.abc import Mapping
from typing import Any

from strop import __version__
from strop.pipeline.config import Config

CARD = """---
library_name: sentence-transformers
pipeline_tag: text-ranking
tags: [cross-encoder, reranker, strop]
---

# Reranker, round {round} of {rounds}

A cross-encoder reranker tuned by strop {version}. It gives one logit to a query and a passage: the
higher, the more relevant. Only differences within one query mean something.

```python
from sentence_transformers import CrossEncoder

scores = CrossEncoder("PATH").predict([("a query", "a passage")])
```

A pair has at most {max_tokens} tokens, its query at most {max_query_tokens}.
"""


def model_card(
    config: Config,
    *,
    round_number: int,
    lineage: Mapping[str, str],
    queries: int,
    summary: Mapping[str, Any],
) -> str:
    """The card's text: use, data, lineage, training, and what training ended with.

    ``lineage`` names the artifacts by role, ``summary`` is that of the training.
    """
    reranker = config.reranker
    text = CARD.format(
        round=round_number,
        rounds=config.rounds,
        version=__version__,
        max_tokens=reranker.max_tokens,
        max_query_tokens=reranker.max_query_tokens,
    )
    measured = {name: value for name, value in summary.items() if name.startswith("dev ")}
    trained = {name: value for name, value in summary.items() if name not in measured}
    data = {"queries": queries, "pairs": summary["pairs"], "tokens": summary["tokens"]}
    parts = [
        _section("Data", {"data set": f"`{lineage.get('dataset', 'unknown')}`", **data}),
        _section("Lineage", {role: f"`{name}`" for role, name in lineage.items()}),
        _section("Training", _parameters(config)),
        _section("Result", {name: value for name, value in trained.items() if name not in data}),
    ]
    if measured:
        parts.append(_section("Dev", measured))
    return "\n".join([text, *parts])


def _parameters(config: Config) -> dict[str, Any]:
    """What was set for the training: every field, a mapping as its own fields."""
    values = config.training.model_dump(mode="json")
    losses = [
        f"{loss.pop('name')} ({', '.join(f'{name} {value:g}' for name, value in loss.items())})"
        if len(loss) > 1
        else loss["name"]
        for loss in (
            {name: value for name, value in loss.items() if value is not None}
            for loss in values.pop("losses")
        )
    ]
    lora = values.pop("lora")
    if lora is not None:
        values |= {f"lora {name}": value for name, value in lora.items() if value != []}
    return {
        "losses": ", ".join(losses),
        **{name.replace("_", " "): value for name, value in values.items() if value is not None},
        "epoch's order": config.mining.curriculum.epoch,
        "seed": config.seed,
    }


def _section(title: str, values: Mapping[str, Any]) -> str:
    rows = [f"| {name.replace('_', ' ')} | {_shown(value)} |" for name, value in values.items()]
    return "\n".join([f"## {title}", "", "| | |", "|---|---|", *rows, ""])


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
