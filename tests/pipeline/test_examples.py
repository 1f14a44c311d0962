import pyarrow as pa

from strop.artifacts.schemas import METRICS_PER_QUERY, QRELS, RANKING
from strop.pipeline.evaluation.examples import Example, examples, shown_ids
from strop.pipeline.reporting.blocks import Grid, page
from strop.pipeline.reporting.examples import Examples, example_blocks


def ranking(query: str, first: list[str], fused: list[str]) -> list[dict[str, object]]:
    return [
        {
            "query_id": query,
            "passage_id": passage,
            "split": "test",
            "rank": 1,
            "first_stage_rank": first.index(passage) + 1,
            "first_stage_score": 0.0,
            "fused_rank": fused.index(passage) + 1,
        }
        for passage in first
    ]


def values(query: str, before: float, after: float) -> list[dict[str, object]]:
    common = {"query_id": query, "group_id": query, "split": "test", "depth": 10}
    return [
        {**common, "ranking": kind, "metric": "nDCG@10", "value": value}
        for kind, value in (("first_stage", before), ("fused", after))
    ]


RANKINGS = pa.Table.from_pylist(
    [
        *ranking("up", ["a", "b", "c", "d"], ["b", "a", "c", "d"]),
        *ranking("down", ["a", "b"], ["b", "a"]),
        *ranking("same", ["a", "b"], ["a", "b"]),
    ],
    schema=RANKING,
)
PER_QUERY = pa.Table.from_pylist(
    [*values("up", 0.5, 1.0), *values("down", 1.0, 0.6), *values("same", 0.0, 0.0)],
    schema=METRICS_PER_QUERY,
)
JUDGED = pa.Table.from_pylist(
    [
        {"query_id": query, "passage_id": passage, "grade": grade, "split": "test"}
        for query, passage, grade in (("up", "b", 1), ("down", "a", 1), ("down", "b", 0))
    ],
    schema=QRELS,
)


def found() -> dict[str, list[Example]]:
    return examples(RANKINGS, PER_QUERY, JUDGED, split="test", metric="nDCG@10")


def test_losses_gains_and_the_hardest_are_told_apart() -> None:
    kinds = {kind: [example.query_id for example in chosen] for kind, chosen in found().items()}
    assert kinds == {"lost": ["down"], "gained": ["up"], "hardest": ["same", "down", "up"]}


def test_the_heads_of_both_rankings_say_what_is_relevant() -> None:
    gained = found()["gained"][0]
    assert gained.first == [("a", False), ("b", True), ("c", False)]
    assert gained.last == [("b", True), ("a", False), ("c", False)]
    assert (gained.before, gained.after) == (0.5, 1.0)
    assert found()["lost"][0].last == [("b", False), ("a", True)]
    assert shown_ids(found()) == (["down", "up", "same"], ["a", "b", "c"])


def test_markup_in_texts_stays_text() -> None:
    texts = {"b": "<script>alert(1)</script> " + "long " * 100}
    blocks = example_blocks(Examples(found(), {"up": "<b>?</b>"}, texts), metric="nDCG@10")
    grid = blocks[3]
    assert isinstance(grid, Grid)
    assert grid.rows[0][0] == "<b>?</b> (0.50 → 1.00)"
    assert grid.rows[0][2].startswith("✓ <script>")
    assert [row[1][:1] for row in grid.rows[:3]] == ["a", "✓", "c"]  # as the first stage has them
    assert grid.rows[0][2].endswith("…")
    html = page("title", blocks)
    assert "<script>" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_without_examples_nothing_is_written() -> None:
    assert example_blocks(Examples(), metric="nDCG@10") == []
