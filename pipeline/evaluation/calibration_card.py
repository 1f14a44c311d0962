"""What a model card says of a calibration: the formula, how to use it, what was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from strop.pipeline.evaluation.reliability import TITLES

CARD = """## Calibration

`calibration.json` turns a logit into the probability that a candidate is labelled relevant
({method}, fitted on {num_candidates:,} candidates of {num_queries:,} dev queries, {num_positives:,}
of them positives):

    {formula}

```python
{usage}
```

{table}

ECE is the expected calibration error over 15 bins of equal mass; dev's figures are out of fold.
Probabilities never fall with the logit, so no two candidates change places{ties}. Passages that
nobody has labelled counted as not relevant, so the probabilities are low where labels are missing;
they hold for candidates like those of dev, the first {depth:,} of the same first stage.
"""
USAGE = """\
import json, pathlib, numpy as np
from sentence_transformers import CrossEncoder
known = json.loads(pathlib.Path("PATH/calibration.json").read_text())
logits = CrossEncoder("PATH").predict([("a query", "a passage")])
probabilities = {expression}"""
EXPRESSIONS = {
    "platt": '1 / (1 + np.exp(-(known["slope"] * logits + known["intercept"])))',
    "isotonic": 'np.interp(logits, known["logits"], known["shares"])',
    "temperature": '1 / (1 + np.exp(-logits / known["temperature"]))',
}


def calibration_card(
    values: Mapping[str, Any], measures: Sequence[Mapping[str, Any]], *, depth: int
) -> str:
    """The section of the card, for a ``calibration.json`` and its `CALIBRATION_MEASURES` rows."""
    method = values["method"]
    rows = [
        f"| {TITLES[row['calibration']]} | {row['ece']:.4f} | {row['brier']:.4f} |"
        for row in measures
    ]
    counts = {key: value for key, value in measures[0].items() if key.startswith("num_")}
    return CARD.format(
        method=TITLES[method],
        formula=values["formula"],
        usage=USAGE.format(expression=EXPRESSIONS[method]),
        table="\n".join(["| dev | ECE | Brier |", "|---|---:|---:|", *rows]),
        ties="; where they are level, they tie" if method == "isotonic" else "",
        depth=depth,
        **counts,
    )
