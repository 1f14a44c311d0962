"""Embeddings of passages and queries by a sentence-transformers bi-encoder."""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Router
from torch.nn.functional import normalize

from strop.pipeline.arrays import Ints
from strop.pipeline.config import BiEncoder
from strop.pipeline.data.passage_text import passage_text as passage_text
from strop.pipeline.errors import InputError
from strop.pipeline.first_stage.packed_texts import PackedTexts, only_pools
from strop.pipeline.first_stage.vectors import Vectors as Vectors
from strop.pipeline.first_stage.vectors import vector_column as vector_column
from strop.pipeline.first_stage.vectors import vector_matrix as vector_matrix
from strop.pipeline.first_stage.vectors import vector_table as vector_table
from strop.pipeline.models import ModelFolder, check_vocabulary
from strop.pipeline.profiling import count_tokens, model_call, model_wait
from strop.pipeline.progress import SILENT, Progress
from strop.pipeline.ragged import Ragged
from strop.pipeline.scoring.batches import Batching, token_budget_batches
from strop.pipeline.scoring.dense_layers import fast_dense_layers
from strop.pipeline.scoring.halving import in_halves
from strop.pipeline.scoring.precision import in_precision, require_finite, resolved_precision
from strop.pipeline.scoring.token_ids import token_ids

TOKENIZED_TEXTS = 1024
"""Texts that are tokenized at once, while a GPU still works on those before them."""
HELD_TEXTS = 16_384
"""Texts whose vectors stay on the device until they are read."""


class Encoder:
    """Turns texts into vectors whose inner product is the first-stage score.

    Texts are read packed by models that allow it, and by others through
    `SentenceTransformer.encode`. When the device runs out of memory, a batch's budget is halved.
    """

    def __init__(self, folder: ModelFolder, config: BiEncoder) -> None:
        """Load the model onto the best device.

        Raises `InputError` when the folder holds no bi-encoder, one that compares vectors in
        another way than by cosine or inner product or reads passages by other modules than queries,
        or the device lacks the precision.
        """
        name = f"bi-encoder {folder.name!r}"
        self._key = f"{name}: precision"
        precision = resolved_precision(config.precision, self._key)
        model = _loaded(folder, name)
        _check_sides(model, name)
        _check_similarity(model, name)
        if model.max_seq_length != math.inf:  # as of static embeddings, which read all words
            model.max_seq_length = min(config.max_tokens, model.max_seq_length or 10**9)
        if not only_pools(model):
            precision = "fp32"
        self._config, self._precision = config, precision
        self._model = in_precision(model, precision).eval()
        self._packed = PackedTexts.by(self._model, precision)
        self._batching = Batching.on(
            self._model.device, config.batch_tokens, padded=self._packed is None
        )
        # The norm of a packed model is left to us; another's has been applied where it stands.
        has_norm = self._packed is not None and isinstance(self._model[-1], Normalize)
        self._normalize = has_norm or self._model.similarity_fn_name in (None, "cosine")

    @property
    def dimension(self) -> int:
        """The width of a vector."""
        return int(self._model.get_embedding_dimension() or 0)

    def encode(self, texts: Sequence[str], *, prompt: str, progress: Progress = SILENT) -> Vectors:
        """One float32 vector a text, with ``prompt`` put before it; shape (texts, dimension).

        The prompt stands in for any default prompt of the model, also where it is empty.
        Raises `InputError` where a vector is not finite.
        """
        made = np.zeros((len(texts), self.dimension), np.float32)
        found: list[tuple[Ints, torch.Tensor]] = []
        held = 0
        with fast_dense_layers(self._model):
            for rows, vectors in self._batches(texts, prompt):
                found.append((rows, vectors))
                progress.advance(len(rows))
                held += len(rows)
                if held >= HELD_TEXTS:
                    _read(found, made)
                    held = 0
        _read(found, made)
        # A sum is finite where all its numbers are, and needs no table of the vectors' size.
        require_finite(
            np.isfinite(made.sum(axis=1)),
            "vectors",
            self._precision,
            key=self._key,
            cure="look at the model's weights",
        )
        return made

    def _batches(self, texts: Sequence[str], prompt: str) -> Iterator[tuple[Ints, torch.Tensor]]:
        """The places of some texts and their vectors, on the device, until there are all."""
        if self._packed is None:
            lengths = self._lengths(texts, prompt)
            for rows in token_budget_batches(lengths, self._batching):
                count_tokens(int(lengths[rows].sum()), int(lengths[rows].max()) * len(rows))
                yield rows, self._vectors(rows, lengths, partial(self._encoded, texts, prompt))
            return
        with self._packed.entered():
            for start in range(0, len(texts), TOKENIZED_TEXTS):
                tokens = self._tokens(texts[start : start + TOKENIZED_TEXTS], prompt)
                for rows in token_budget_batches(tokens.lengths, self._batching):
                    compute = partial(self._packed.vectors, tokens)
                    yield start + rows, self._vectors(rows, tokens.lengths, compute)

    def _vectors(
        self, rows: Ints, lengths: Ints, compute: Callable[[Ints], torch.Tensor]
    ) -> torch.Tensor:
        """What ``compute`` gives for some texts, in fp32, and of length one where that is asked."""

        def halve(rows: Ints) -> None:
            self._batching = self._batching.halved(lengths[rows], self._config.max_tokens)

        with torch.inference_mode(), model_call():
            found = in_halves(compute, rows, when_full=halve).float()
            return normalize(found, dim=1) if self._normalize else found

    def _encoded(self, texts: Sequence[str], prompt: str, rows: Ints) -> torch.Tensor:
        """The vectors of some texts by sentence-transformers itself."""
        found: torch.Tensor = self._model.encode(
            [texts[row] for row in rows],
            prompt=prompt,
            batch_size=len(rows),
            show_progress_bar=False,
            convert_to_tensor=True,
        )
        return found

    def _tokens(self, texts: Sequence[str], prompt: str) -> Ragged:
        prompted, limit = [prompt + text for text in texts], self._model.max_seq_length
        return token_ids(self._model.tokenizer, prompted, limit, special_tokens=True)

    def _lengths(self, texts: Sequence[str], prompt: str) -> Ints:
        """Tokens of every text, or characters where the model has no tokenizer that counts."""
        if not callable(self._model.tokenizer):
            return np.array([len(text) for text in texts], np.int64)
        return self._tokens(texts, prompt).lengths


def _read(found: list[tuple[Ints, torch.Tensor]], made: Vectors) -> None:
    """Put vectors in their rows; late, so that a GPU computes while texts are tokenized."""
    with model_wait():
        for rows, vectors in found:
            made[rows] = vectors.cpu().numpy()
    found.clear()


def _check_sides(model: SentenceTransformer, name: str) -> None:
    """Raise `InputError` for modules of their own for queries and for passages."""
    if any(isinstance(module, Router) for module in model):
        raise InputError(
            f"{name}: has a Router, with other modules for queries than for passages, expected "
            "the same for both"
        )


def _check_similarity(model: SentenceTransformer, name: str) -> None:
    """Raise `InputError` for a similarity that ranks otherwise than an inner product.

    Of vectors of length one the nearest have the largest inner product.
    """
    asked, unit = model.similarity_fn_name, isinstance(model[-1], Normalize)
    if asked in (None, "cosine", "dot") or (asked == "euclidean" and unit):
        return
    raise InputError(
        f"{name}: its similarity_fn_name is {str(asked)!r}, expected cosine or dot; strop "
        "retrieves by inner product"
    )


def _loaded(folder: ModelFolder, name: str) -> SentenceTransformer:
    try:
        model = SentenceTransformer(
            str(folder.path),
            model_kwargs={"use_safetensors": True, "dtype": torch.float32},
            trust_remote_code=False,
            local_files_only=True,
        )
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"{name}: cannot be loaded ({reason})") from error
    check_vocabulary(model.tokenizer, name)
    return model
