import json
from pathlib import Path

import numpy as np
import pytest

from strop.pipeline.config import Reranker
from strop.pipeline.scoring.reranker import load_reranker
from strop.pipeline.scoring.scorer import Scorer
from strop.tasks.stage_profile import StageProfile
from tests.world import WORDS, pair_source

QUERIES = {f"q{i}": " ".join(WORDS[i : i + 3]) for i in range(4)}
PASSAGES = {f"p{i}": " ".join(WORDS[: 2 + i]) for i in range(30)}
STAGE = "score · round 2"


@pytest.fixture
def scorer(reranker_folder: Path) -> Scorer:
    loaded = load_reranker(reranker_folder)
    # Batches of 64 tokens: enough calls for a trace.
    config = Reranker(max_tokens=64, max_query_tokens=16, batch_tokens=64)
    return Scorer(loaded, pair_source(loaded.tokenizer, QUERIES, PASSAGES), config)


def test_a_profile_counts_and_traces_a_stage_and_changes_no_score(
    scorer: Scorer, tmp_path: Path
) -> None:
    queries, passages = np.repeat(np.arange(4), 30), np.tile(np.arange(30), 4)
    expected = scorer.score_rows(queries, passages)
    profile = StageProfile(tmp_path / "profile")
    profile.started(STAGE)
    found = scorer.score_rows(queries, passages)
    profile.finished(STAGE, reused=False, seconds=1.0, summary={})
    profile.started("train · round 2")
    profile.finished("train · round 2", reused=True, seconds=0.0, summary={})
    scorer.score_rows(queries, passages)  # belongs to no stage

    assert found.tobytes() == expected.tobytes()
    made, reused = json.loads((tmp_path / "profile/breakdown.json").read_bytes())
    # Every pair has its words and [CLS], [SEP], [SEP].
    assert made["tokens"] == sum(3 + (2 + i) + 3 for i in range(30)) * 4
    assert made["padding"] == 0.0
    assert 0 < made["model_seconds"] <= made["seconds"]
    assert (reused["tokens"], reused["model_seconds"], reused["reused"]) == (0, 0, True)
    trace = json.loads((tmp_path / "profile/trace-score-round-2.json").read_bytes())
    names = [event.get("name") for event in trace["traceEvents"]]
    assert names.count("aten::embedding") == 3 * 3  # three calls, three embeddings each
    assert not list((tmp_path / "profile").glob("trace-train*"))
    table = (tmp_path / "profile/breakdown.md").read_text()
    assert "| score · round 2 |" in table
    assert "| train · round 2 (reused) |" in table
