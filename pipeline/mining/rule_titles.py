"""The rules behind a selection's decisions, in the words in which people read them."""

JUDGES = {
    "first_stage": "the first stage",
    "reranker": "the reranker",
    "fused": "the fused score",
    "teacher": "the teacher",
    "earlier_round": "the reranker of an earlier round",
}
RULES = {
    "relative": "relative margin",
    "percentage": "share of the positive's score",
    "above_max_score": "above the highest score of a negative",
}
"""Whatever is not here is read as it is, less its underscores."""


def rule_title(rule: str) -> str:
    """A rule such as ``margin by first_stage + teacher`` in plain words."""
    kind, by, judges = rule.partition(" by ")
    title = RULES.get(kind, kind.replace("_", " "))
    if not by:
        return title
    return f"{title} by {' and '.join(_judge(name) for name in judges.split(' + '))}"


def _judge(name: str) -> str:
    return JUDGES.get(name, name.replace("_", " "))
