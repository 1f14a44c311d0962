"""The corpus and the models of `ray_trials`: of random weights, yet able to find what was planted.

Both models read whole words. The encoder is the mean of random word vectors: passages that share a
query's rare words are near to it. The reranker is a BERT of one layer and 32 dimensions.
"""

import os
import shutil
from pathlib import Path

import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    BertModel,
    PreTrainedTokenizerFast,
)

from benchmarks.synthetic import World, words, write

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
LONGEST = 80


def make_world(folder: Path, world: World, width: int) -> None:
    """Write ``data``, ``encoder`` and ``reranker`` into a folder, unless they are there."""
    if (folder / "reranker").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write(world, folder / "data")
    tokenizer = _tokenizer(world.vocabulary)
    torch.manual_seed(world.seed)
    encoder = BertModel(_config(len(tokenizer), width, layers=0))
    encoder.embeddings.word_embeddings.weight.data[: len(SPECIAL)] = 0  # no text's own words
    encoder.embeddings.position_embeddings.weight.data.zero_()
    encoder.embeddings.token_type_embeddings.weight.data.zero_()
    _save(encoder, tokenizer, folder / "encoder")
    transformer = Transformer(str(folder / "encoder"))
    pooling = Pooling(transformer.get_embedding_dimension(), pooling_mode="mean")
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(
        str(folder / "encoder"), create_model_card=False
    )
    reranker = BertForSequenceClassification(_config(len(tokenizer), 32, layers=1))
    _save(reranker, tokenizer, folder / "part")
    (folder / "part").rename(folder / "reranker")


def _save(model: BertModel, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def _config(vocabulary: int, width: int, layers: int) -> BertConfig:
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=2 * LONGEST,
        initializer_range=1.0 if layers == 0 else 0.1,
        num_labels=1,
    )


def _tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    tokens = [*SPECIAL, *words(vocabulary).to_pylist()]
    numbers = {token: number for number, token in enumerate(tokens)}
    tokenizer = Tokenizer(models.WordLevel(numbers, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=2 * LONGEST,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
