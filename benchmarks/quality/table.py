"""The quality benchmark's result as Markdown."""

from collections.abc import Iterator, Mapping
from typing import Any

NAMES = {"reranker": "alone", "fused": "fused", "first_stage": ""}


def markdown(
    data: str, facts: Mapping[str, str], results_by_opponent: Mapping[str, Mapping[str, Any]]
) -> str:
    """What was run, every arm's mean over seeds, and its difference to each peer's recipe."""
    lines = [f"# Rerankers for {data} by strop and by the peers' recipes", ""]
    lines += [f"- {name}: {value}" for name, value in facts.items()]
    first = next(iter(results_by_opponent.values()))
    head = first["differences"][0]
    lines += [
        "",
        f"{head['metric']} of {head['n']:,} {head['split']} queries; ± over the seeds.",
        "",
    ]
    titles = ["arm", "ranking", head["metric"], "±", *(f"Δ to {n}" for n in results_by_opponent)]
    lines += [f"| {' | '.join(titles)} |", "|---|---|" + "---:|" * (len(titles) - 2)]
    lines += _rows(results_by_opponent)
    return "\n".join(lines) + "\n"


def _rows(results: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    first = next(iter(results.values()))["differences"]
    order = sorted(first, key=lambda row: list(NAMES).index(row["ranking"]))
    for row in order:
        spread = "" if row["spread"] is None else f"{row['spread']:.3f}"
        cells = [row["arm"], NAMES[row["ranking"]], f"{row['value']:.3f}", spread]
        cells += [_change(result["differences"], row) for result in results.values()]
        yield f"| {' | '.join(cells)} |"


def _change(rows: list[dict[str, Any]], like: Mapping[str, Any]) -> str:
    keys = ("arm", "ranking")
    row = next(row for row in rows if all(row[key] == like[key] for key in keys))
    if row["difference"] is None:
        return ""
    p_value = "< 0.001" if row["p_value"] < 0.001 else f"{row['p_value']:.3f}"
    change = f"{row['difference']:+.3f} [{row['ci_low']:+.3f}, {row['ci_high']:+.3f}]"
    return f"{change} p {p_value}"
