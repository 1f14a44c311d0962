"""Warnings of positives that another passage nearly repeats, which nobody may have judged."""

from strop.pipeline.data.collector import Collector
from strop.pipeline.data.like_passages import MOST_POSITIVES, ReadRows, like_passages
from strop.pipeline.data.sketched_corpus import SketchedCorpus


def warn_of_like_passages(found: Collector, sketched: SketchedCorpus, read_rows: ReadRows) -> None:
    """Warn of every positive with a near duplicate that its query has no judgement of.

    Of more than `MOST_POSITIVES` distinct positives the others are counted, and not compared.
    """
    positives = [judgement for judgement in found.judgements if judgement.grade > 0]
    distinct = list(dict.fromkeys(judgement.passage_id for judgement in positives))
    found.not_compared = max(len(distinct) - MOST_POSITIVES, 0)
    like = like_passages(sketched, read_rows, distinct[:MOST_POSITIVES])
    judged = {(judgement.query_id, judgement.passage_id) for judgement in found.judgements}
    for judgement in positives:
        for passage_id, share in like.get(judgement.passage_id, []):
            if (judgement.query_id, passage_id) not in judged:
                found.defects.warn(
                    "positive with a near duplicate",
                    f"{judgement.where}: positive {judgement.passage_id!r} has {share:.0%} of its "
                    f"words in common with passage {passage_id!r}, which query "
                    f"{judgement.query_id!r} has no grade for; judge both, or keep one",
                )
                break
