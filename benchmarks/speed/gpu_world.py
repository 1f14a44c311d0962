"""What sides work on in the comparison on a GPU: models of random weights and drawn texts."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import inputs

WORDS = 20_000
MAX_TOKENS, MAX_QUERY, MAX_PASSAGE = 512, 64, 400
ENCODED_TOKENS = 256
"""Tokens of a text that are encoded; the rest is cut."""
GROUP_SIZE = 16
SPECIAL = 3
"""Special tokens of a pair; a text alone has one less."""
PAIRS_OF_A_PASSAGE = 4


@dataclass(frozen=True)
class Size:
    """A model's shape, and how much of it fits a measurement of some seconds."""

    vocabulary: int
    width: int
    layers: int
    heads: int
    inner: int
    pairs: int
    texts: int
    groups_per_step: int
    steps: int

    def shrunk(self, divisor: int) -> "Size":
        """The same model and fewer pairs, texts and groups."""
        return replace(
            self,
            pairs=self.pairs // divisor,
            texts=self.texts // divisor,
            groups_per_step=max(1, self.groups_per_step // divisor),
        )


SIZES = {
    "minilm-l6": Size(30_522, 384, 6, 12, 1536, 8192, 16_384, 16, 8),
    "bert-base": Size(30_522, 768, 12, 12, 3072, 8192, 16_384, 16, 8),
    "xlm-roberta-large": Size(250_002, 1024, 24, 16, 4096, 2048, 4096, 8, 6),
}


@contextmanager
def world(arguments: Any) -> Iterator[Path]:
    """A folder with pairs, texts, groups and models of all sizes."""
    with tempfile.TemporaryDirectory(prefix="strop-gpu-") as name:
        folder = Path(name)
        (folder / "settings.json").write_text(json.dumps({"step": "gpu"}))
        for model in arguments.models:
            size, made = SIZES[model].shrunk(arguments.shrink), folder / model
            made.mkdir()
            settings = {
                "max_tokens": MAX_TOKENS,
                "max_query": MAX_QUERY,
                "bi_encoder": str(made / "bi-encoder"),
                "encoder_tokens": ENCODED_TOKENS,
                "groups_per_step": size.groups_per_step,
                "learning_rate": 2e-5,
                "device": arguments.device,
                "half": arguments.device != "cpu",
                "batch_size": arguments.batch_size,
            }
            (made / "settings.json").write_text(json.dumps(settings))
            save_reranker(size, made / "model", arguments)
            save_bi_encoder(size, made / "bi-encoder", arguments)
            save_pairs(size, made, arguments)
            save_texts(size, made, arguments)
        yield folder


def save_pairs(size: Size, folder: Path, arguments: Any) -> None:
    """Pairs to score and groups to train, and how many tokens each of their pairs has."""
    random = np.random.default_rng(arguments.seed)
    count, groups = size.pairs, size.groups_per_step * size.steps
    passages = drawn_texts(random, max(count // PAIRS_OF_A_PASSAGE, GROUP_SIZE), middle=180)
    queries = drawn_texts(random, max(count // 32, groups), middle=10)
    picked = random.integers(0, len(passages), count)
    asked = np.sort(random.integers(0, len(queries), count))
    pairs = [(queries[q], passages[p]) for q, p in zip(asked, picked, strict=True)]
    inputs.write_lines(folder / "pairs.jsonl", pairs)
    members = [random.choice(len(passages), GROUP_SIZE, replace=False) for _ in range(groups)]
    trained = [
        {"query": queries[number], "texts": [passages[p] for p in chosen]}
        for number, chosen in enumerate(members)
    ]
    inputs.write_lines(folder / "groups.jsonl", trained)
    for step, drawn in (
        ("scoring", pairs),
        ("training", [(group["query"], text) for group in trained for text in group["texts"]]),
    ):
        lengths = [min(len(q.split()) + len(p.split()) + SPECIAL, MAX_TOKENS) for q, p in drawn]
        (folder / f"{step}.lengths.json").write_text(json.dumps(lengths))


def save_texts(size: Size, folder: Path, arguments: Any) -> None:
    """Texts to encode, and how many tokens each has."""
    random = np.random.default_rng(arguments.seed)
    texts = drawn_texts(random, size.texts, middle=60)
    inputs.write_lines(folder / "texts.jsonl", texts)
    lengths = [min(len(text.split()) + SPECIAL - 1, ENCODED_TOKENS) for text in texts]
    (folder / "encoding.lengths.json").write_text(json.dumps(lengths))


def drawn_texts(random: np.random.Generator, count: int, *, middle: int) -> list[str]:
    """Texts of drawn words, some far longer than others."""
    lengths = np.clip(random.lognormal(np.log(middle), 0.5, count), 4, MAX_PASSAGE).astype(int)
    ranks = random.integers(0, WORDS, lengths.sum())
    words = [f"w{rank}" for rank in ranks.tolist()]
    ends = np.cumsum(lengths).tolist()
    return [" ".join(words[e - n : e]) for e, n in zip(ends, lengths.tolist(), strict=True)]


def save_reranker(size: Size, folder: Path, arguments: Any) -> None:
    """A cross-encoder of random weights."""
    from transformers import BertForSequenceClassification

    from strop.pipeline.scoring import reranker

    model = drawn_model(BertForSequenceClassification, size, arguments)
    loaded = reranker.LoadedReranker(model, word_tokenizer())
    reranker.save_reranker(loaded, folder, max_tokens=MAX_TOKENS, card="For a benchmark.\n")


def save_bi_encoder(size: Size, folder: Path, arguments: Any) -> None:
    """A bi-encoder of random weights with mean pooling."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertModel

    drawn_model(BertModel, size, arguments).save_pretrained(folder)
    word_tokenizer().save_pretrained(folder)
    modules = [Transformer(str(folder)), Pooling(size.width, pooling_mode="mean")]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)


def drawn_model(kind: Any, size: Size, arguments: Any) -> Any:
    """A model of this kind and size, drawn from the seed."""
    import torch
    from transformers import BertConfig

    torch.manual_seed(arguments.seed)
    config = BertConfig(
        vocab_size=size.vocabulary,
        hidden_size=size.width,
        num_hidden_layers=size.layers,
        num_attention_heads=size.heads,
        intermediate_size=size.inner,
        max_position_embeddings=MAX_TOKENS,
        num_labels=1,
    )
    with torch.device(arguments.device):
        model = kind(config)
    return model.cpu().eval()


def word_tokenizer() -> Any:
    """A tokenizer that knows the drawn words."""
    from transformers import BertTokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *(f"w{rank}" for rank in range(WORDS))]
    return BertTokenizer(vocab={word: number for number, word in enumerate(words)})
