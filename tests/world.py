"""A tiny world of real parts: transformers of random weights and a data set in made-up words."""

import json
from itertools import product
from pathlib import Path
from string import ascii_lowercase

import numpy as np
import pyarrow as pa
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
    RobertaConfig,
    RobertaModel,
)

from strop.pipeline.scoring.scorer import PairSource
from strop.pipeline.scoring.tokens import TokenTable, tokenize

WORDS = ["".join(parts) for parts in product("bdfgklmnprstvz", "aeiou", ["lo", "mi", "nu", "ra"])]
"""280 made-up words, each one token of the tiny models; a trailing letter makes it two."""
COMMON, RARE = WORDS[:60], WORDS[60:]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
PIECES = [*ascii_lowercase, *(f"##{letter}" for letter in ascii_lowercase)]


def tiny_model(
    folder: Path,
    *,
    seed: int = 0,
    one_logit: bool | None = None,
    width: int = 32,
    layers: int = 2,
) -> Path:
    """A BERT of random weights in a Hugging Face folder, loadable by every Auto class.

    ``one_logit`` None saves a sentence-transformers bi-encoder with mean pooling, which is also a
    reranker base without a head; True a one-logit cross-encoder, False one with three labels.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = bert_tokenizer()
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
        initializer_range=0.1,
        num_labels={None: 2, True: 1, False: 3}[one_logit],
    )
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = (BertModel if one_logit is None else BertForSequenceClassification)(config)
        bert = model if one_logit is None else model.bert
        # Words must outweigh positions, or mean pooling tells passages apart by their length.
        torch.nn.init.normal_(bert.embeddings.word_embeddings.weight)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    if one_logit is None:
        pooled(folder)
    return folder


def tiny_roberta(folder: Path) -> Path:
    """A bi-encoder as `tiny_model` saves it, built like RoBERTa, which counts positions from 2."""
    tokenizer = roberta_tokenizer()
    config = RobertaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=130,
        type_vocab_size=1,
        initializer_range=0.3,
        pad_token_id=1,
    )
    tokenizer.model_max_length = 128
    with torch.random.fork_rng():
        torch.manual_seed(4)
        RobertaModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return pooled(folder)


def pooled(
    folder: Path, mode: str | tuple[str, ...] = "mean", *, include_prompt: bool = True
) -> Path:
    """Give the bi-encoder in a folder a pooling."""
    transformer = Transformer(str(folder))
    width = transformer.get_embedding_dimension()
    pooling = Pooling(width, pooling_mode=mode, include_prompt=include_prompt)
    model = SentenceTransformer(modules=[transformer, pooling], device="cpu")
    model.save(str(folder), create_model_card=False)  # the card would ask the hub for its base
    return folder


def bert_tokenizer() -> PreTrainedTokenizerFast:
    """A WordPiece tokenizer with BERT's template ``[CLS] query [SEP] passage [SEP]``."""
    tokens = [*SPECIAL, *WORDS, *PIECES]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=128,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def roberta_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with RoBERTa's template ``<s> query </s></s> passage </s>`` and no types."""
    tokens = ["<s>", "<pad>", "</s>", "<unk>", *WORDS]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        cls_token="<s>",
        sep_token="</s>",
        model_input_names=["input_ids", "attention_mask"],
    )


def pair_source(
    tokenizer: object, queries: dict[str, str], passages: dict[str, str], *, limit: int = 128
) -> PairSource:
    """The cached tokens of texts by id."""
    tables = [
        tokenize(tokenizer, pa.chunked_array([list(texts)]), list(texts.values()), limit)
        for texts in (queries, passages)
    ]
    return PairSource(*map(TokenTable, tables))


def tiny_beir(
    folder: Path,
    *,
    passages: int = 120,
    train: int = 40,
    dev: int = 20,
    test: int = 20,
    gate: int | None = None,
    seed: int = 0,
) -> Path:
    """A data set in BEIR layout whose queries share rare words with their positives.

    Every fifth query has two positives, every other pair of queries a common ``group_id``; a
    split of 0 (or a gate of None) has no qrels file.
    """
    random = np.random.default_rng(seed)
    (folder / "qrels").mkdir(parents=True, exist_ok=True)
    topics = [random.choice(RARE, 2, replace=False).tolist() for _ in range(passages)]
    _write_lines(folder / "corpus.jsonl", [_passage(i, topics[i], random) for i in range(passages)])
    queries = []
    for split, count in (("train", train), ("dev", dev), ("gate", gate), ("test", test)):
        rows = ["query-id\tcorpus-id\tscore"]
        for number in range(count or 0):
            query_id = f"{split}-{number}"
            about = random.choice(passages, 2 if number % 5 == 4 else 1, replace=False).tolist()
            queries.append(_query(query_id, [topics[place] for place in about], number, random))
            rows += [f"{query_id}\tp{place}\t1" for place in about]
        if count:
            (folder / "qrels" / f"{split}.tsv").write_text("\n".join(rows) + "\n")
    _write_lines(folder / "queries.jsonl", queries)
    return folder


def _passage(number: int, topic: list[str], random: np.random.Generator) -> dict[str, str]:
    common = random.choice(COMMON, int(random.integers(8, 30))).tolist()
    words = random.permutation([*common, *topic, *topic]).tolist()
    title = f"{topic[0]} {common[0]}" if number % 3 else ""
    return {"_id": f"p{number}", "title": title, "text": " ".join(words)}


def _query(
    query_id: str, topics: list[list[str]], number: int, random: np.random.Generator
) -> dict[str, object]:
    rare = [word for topic in topics for word in topic]
    words = random.permutation([*rare, str(random.choice(COMMON))]).tolist()
    pair = number // 2
    group = {"group_id": f"{query_id.split('-')[0]}-pair-{pair}"} if pair % 2 else {}
    return {"_id": query_id, "text": " ".join(words), "metadata": group}


def _write_lines(path: Path, records: list[dict[str, object]]) -> None:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
