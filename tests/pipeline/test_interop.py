"""A reranker that strop saves gives the same logits in every library that people load it with."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import pyarrow as pa
import pytest
import torch
from sentence_transformers import CrossEncoder
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BertForSequenceClassification,
    BertTokenizer,
    ModernBertConfig,
    ModernBertForSequenceClassification,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
    XLMRobertaTokenizer,
)

from strop.cli.config_file import load_config
from strop.pipeline.config import Reranker
from strop.pipeline.config.losses import GroupSoftmax
from strop.pipeline.scoring.reranker import LoadedReranker, load_reranker, save_reranker
from strop.pipeline.scoring.scorer import Scorer
from tests.world import PIECES, SPECIAL, WORDS, bert_tokenizer, pair_source

EXAMPLE = Path(__file__).parents[2] / "examples" / "bge-reranker-v2-m3.yaml"
FLAG_PYTHON = "STROP_FLAGEMBEDDING_PYTHON"
SHAPE = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "initializer_range": 0.3,
    "num_labels": 1,
}


def word_piece(**options: object) -> BertTokenizer:
    vocabulary = {token: number for number, token in enumerate([*SPECIAL, *WORDS, *PIECES])}
    return BertTokenizer(vocab=vocabulary, **options)


def bert() -> LoadedReranker:
    tokenizer = word_piece()
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=128, **SHAPE)
    return LoadedReranker(BertForSequenceClassification(config), tokenizer)


def xlm_roberta() -> LoadedReranker:
    words = [(f"▁{word}", -2.0) for word in WORDS]
    letters = [(letter, -6.0) for letter in ("▁", *ascii_lowercase)]
    special = [(token, 0.0) for token in ("<s>", "<pad>", "</s>", "<unk>")]
    tokenizer = XLMRobertaTokenizer(vocab=[*special, *words, *letters, ("<mask>", 0.0)])
    config = XLMRobertaConfig(
        vocab_size=len(tokenizer), max_position_embeddings=130, pad_token_id=1, **SHAPE
    )
    return LoadedReranker(XLMRobertaForSequenceClassification(config), tokenizer)


def modern_bert() -> LoadedReranker:
    return modern_bert_with(word_piece(model_input_names=["input_ids", "attention_mask"]))


def modern_bert_generic() -> LoadedReranker:
    """As ModernBERT was published: its tokenizer has no class of its own."""
    tokenizer = bert_tokenizer()
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    return modern_bert_with(tokenizer)


def modern_bert_with(tokenizer: PreTrainedTokenizerFast) -> LoadedReranker:
    special = {
        "pad_token_id": tokenizer.pad_token_id,
        "cls_token_id": tokenizer.cls_token_id,
        "sep_token_id": tokenizer.sep_token_id,
        "bos_token_id": None,
        "eos_token_id": None,
    }
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=128,
        local_attention=8,
        **special,
        **SHAPE,
    )
    return LoadedReranker(ModernBertForSequenceClassification(config), tokenizer)


ARCHITECTURES = {
    "bert": bert,
    "xlm_roberta": xlm_roberta,
    "modern_bert": modern_bert,
    "modern_bert_generic": modern_bert_generic,
}


def drawn_texts(name: str, count: int, longest: int) -> dict[str, str]:
    """Made-up texts of unequal length, some of them with words that are no one token."""
    random = np.random.default_rng(len(name))
    words = [*WORDS, "balox", "kimora"]
    sizes = random.integers(1, longest, count)
    return {f"{name}{i}": " ".join(random.choice(words, size)) for i, size in enumerate(sizes)}


QUERIES, PASSAGES = drawn_texts("query", 4, 10), drawn_texts("passage", 12, 40)
PAIRS = [(query, passage) for query in QUERIES.values() for passage in PASSAGES.values()]


def by_strop(folder: Path) -> np.ndarray:
    loaded = load_reranker(folder)
    table = pa.table(
        {
            "query_id": [query_id for query_id in QUERIES for _ in PASSAGES],
            "passage_id": [passage_id for _ in QUERIES for passage_id in PASSAGES],
        }
    )
    source = pair_source(loaded.tokenizer, QUERIES, PASSAGES)
    scorer = Scorer(loaded, source, Reranker(max_tokens=128, batch_tokens=400))
    return pa.concat_tables(scorer.score(table))["score"].to_numpy()


def by_cross_encoder(folder: Path) -> np.ndarray:
    model = CrossEncoder(str(folder), device="cpu")
    return model.predict(PAIRS, activation_fn=torch.nn.Identity(), batch_size=7)


def by_cross_encoder_as_saved(folder: Path) -> np.ndarray:
    """Nobody has to know that the scores are plain logits: the saved config says so."""
    return CrossEncoder(str(folder), device="cpu").predict(PAIRS)


def by_transformers(folder: Path) -> np.ndarray:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    batch = tokenizer(*map(list, zip(*PAIRS, strict=True)), padding=True, return_tensors="pt")
    with torch.inference_mode():
        return model(**batch).logits[:, 0].numpy()


@pytest.fixture(scope="module", params=ARCHITECTURES)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved reranker of random weights, whose logits spread."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        reranker = ARCHITECTURES[request.param]()
    folder = tmp_path_factory.mktemp(request.param)
    save_reranker(reranker, folder, max_tokens=128, card="# A reranker\n")
    return folder


@pytest.fixture(scope="module")
def one_by_one(saved: Path) -> np.ndarray:
    """One plain forward a pair, without padding, and no pair truncated."""
    tokenizer = AutoTokenizer.from_pretrained(saved)
    model = AutoModelForSequenceClassification.from_pretrained(saved).eval()
    encoded = [tokenizer(*pair, return_tensors="pt") for pair in PAIRS]
    assert max(pair["input_ids"].shape[1] for pair in encoded) <= 128
    with torch.inference_mode():
        found = np.asarray([model(**pair).logits[0, 0].item() for pair in encoded])
    assert np.ptp(found) > 0.1  # a constant would agree with everything
    return found


@pytest.mark.parametrize(
    "loader", [by_strop, by_cross_encoder, by_cross_encoder_as_saved, by_transformers]
)
def test_every_loader_gives_the_same_logits(
    saved: Path, one_by_one: np.ndarray, loader: Callable[[Path], np.ndarray]
) -> None:
    np.testing.assert_allclose(loader(saved), one_by_one, atol=1e-5, rtol=0)


def test_saved_tokenizers_bear_class_names_that_transformers_4_knows(saved: Path) -> None:
    values = json.loads((saved / "tokenizer_config.json").read_text())
    assert values["tokenizer_class"] in (
        "BertTokenizer",
        "XLMRobertaTokenizer",
        "PreTrainedTokenizerFast",
    )


FLAG_SCRIPT = """
import json, sys
from FlagEmbedding import FlagReranker
reranker = FlagReranker(sys.argv[1], use_fp16=False, devices="cpu", max_length=128)
scores = reranker.compute_score([tuple(pair) for pair in json.load(sys.stdin)])
print(json.dumps(scores))
"""


@pytest.mark.slow
@pytest.mark.skipif(
    FLAG_PYTHON not in os.environ,
    reason=f"{FLAG_PYTHON} names no interpreter with FlagEmbedding (it needs transformers < 5)",
)
def test_flag_reranker_gives_the_same_logits(saved: Path, one_by_one: np.ndarray) -> None:
    if "generic" in saved.name:
        pytest.skip("FlagEmbedding 1.4 puts no special tokens around pairs of generic tokenizers")
    done = subprocess.run(
        [os.environ[FLAG_PYTHON], "-c", FLAG_SCRIPT, str(saved)],
        input=json.dumps(PAIRS),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    scores = json.loads(done.stdout.splitlines()[-1])
    np.testing.assert_allclose(scores, one_by_one, atol=1e-5, rtol=0)


def test_the_example_for_bge_reranker_loads_with_the_settings_of_its_makers() -> None:
    config = load_config(EXAMPLE)
    assert (config.reranker.base, config.bi_encoder.model) == (
        "BAAI/bge-reranker-v2-m3",
        "BAAI/bge-m3",
    )
    assert (config.reranker.max_tokens, config.mining.group_size) == (1024, 8)
    # The slice [2:200] of a ranking, as in `test_parity.py`.
    last = config.mining.min_rank + config.mining.window_size - 1
    assert (config.mining.min_rank, last, config.first_stage.depth) == (3, 200, 200)
    training = config.training
    assert training.losses == (GroupSoftmax(),)
    assert (training.learning_rate, training.warmup_share, training.weight_decay) == (
        6e-5,
        0.1,
        0.01,
    )
    assert (training.epochs, training.groups_per_step) == (2, 4)
    assert (training.precision, training.gradient_checkpointing) == ("fp16", True)
