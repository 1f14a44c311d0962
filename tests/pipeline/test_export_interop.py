"""Exports read by the loaders of FlagEmbedding and Tevatron, in an environment of theirs.

STROP_FLAGEMBEDDING_PYTHON names its interpreter: FlagEmbedding 1.4 needs transformers < 5, and
Tevatron 0.1 runs beside it.
"""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.pipeline.test_exporting import export
from tests.world import bert_tokenizer

PYTHON = "STROP_FLAGEMBEDDING_PYTHON"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(PYTHON not in os.environ, reason=f"{PYTHON} names no interpreter"),
]

FLAGEMBEDDING = """
import json, sys
from transformers import AutoTokenizer
from FlagEmbedding.abc.finetune.reranker.AbsArguments import AbsRerankerDataArguments
from FlagEmbedding.abc.finetune.reranker.AbsDataset import (
    AbsRerankerCollator, AbsRerankerTrainDataset,
)
file, tokenizer, cache, distilled = sys.argv[1:]
arguments = AbsRerankerDataArguments(
    train_data=[file], cache_path=cache, train_group_size=3, query_max_len=16, passage_max_len=32,
    knowledge_distillation=distilled == "True",
)
tokenizer = AutoTokenizer.from_pretrained(tokenizer)
data = AbsRerankerTrainDataset(arguments, tokenizer)
batch = AbsRerankerCollator(tokenizer)([data[row] for row in range(len(data))])
print(json.dumps({
    "rows": len(data), "pairs": list(batch["pair"]["input_ids"].shape)[0],
    "first": tokenizer.decode(batch["pair"]["input_ids"][0], skip_special_tokens=True),
    "scores": batch["teacher_scores"],
}))
"""
TEVATRON = """
import json, sys
from transformers import AutoTokenizer
from tevatron.arguments import DataArguments
from tevatron.datasets import HFTrainDataset
from tevatron.datasets.preprocessor import TrainPreProcessor
from tevatron.datasets import dataset as module
file, tokenizer, cache = sys.argv[1:]
tokenizer = AutoTokenizer.from_pretrained(tokenizer)
arguments = DataArguments(train_dir=None, dataset_name="json", train_n_passages=3)
arguments.train_path, arguments.dataset_split, arguments.dataset_language = [file], "train", None
module.PROCESSOR_INFO["json"] = [TrainPreProcessor, None, None]
data = HFTrainDataset(tokenizer, arguments, cache).process()
row = data[0]
print(json.dumps({
    "rows": len(data), "query": tokenizer.decode(row["query"]),
    "positives": [tokenizer.decode(one) for one in row["positives"]],
    "negatives": [tokenizer.decode(one) for one in row["negatives"]],
}))
"""


def run(tmp_path: Path, script: str, name: str, *arguments: Any, scores: bool = False) -> Any:
    file, tokenizer = tmp_path / "train.jsonl", tmp_path / "tokenizer"
    lines, _ = export(name, scores=scores)
    file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    bert_tokenizer().save_pretrained(tokenizer)
    settings = json.loads((tokenizer / "tokenizer_config.json").read_text())
    settings["tokenizer_class"] = "PreTrainedTokenizerFast"  # transformers 4 knows no other
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [os.environ[PYTHON], "-c", script, file, tokenizer, tmp_path / "cache", *arguments],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_flagembedding_s_loader_makes_groups_of_its_export(tmp_path: Path) -> None:
    found = run(tmp_path, FLAGEMBEDDING, "flagembedding", "False")
    assert (found["rows"], found["pairs"], found["scores"]) == (3, 9, None)
    assert found["first"].endswith("a text of a")


def test_flagembedding_distils_from_the_scores(tmp_path: Path) -> None:
    found = run(tmp_path, FLAGEMBEDDING, "flagembedding", "True", scores=True)
    assert (found["rows"], found["pairs"]) == (2, 6)
    assert found["scores"][0] == 4.5
    assert sorted(found["scores"][1:3]) == [-1.5, 2.25]
    assert found["scores"][3:] == [1.0, 0.5, 0.5]


def test_tevatron_s_loader_reads_titles_and_texts(tmp_path: Path) -> None:
    found = run(tmp_path, TEVATRON, "tevatron")
    assert found["rows"] == 3
    assert "first" in found["query"].replace(" ", "")
    assert found["positives"] == ["a text of a"]
    assert found["negatives"] == ["text of b", "text of c"]
