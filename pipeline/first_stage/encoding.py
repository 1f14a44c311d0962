"""Embeddings of passages and queries by a sentence-transformers bi-encoder."""

from collections.abc import Sequence

import numpy as np
from safetensors import SafetensorError
from sentence_transformers import SentenceTransformer

from strop.pipeline.arrays import Ints
from strop.pipeline.config import BiEncoder
from strop.pipeline.data.passage_text import passage_text as passage_text
from strop.pipeline.errors import InputError
from strop.pipeline.first_stage.vectors import Vectors as Vectors
from strop.pipeline.first_stage.vectors import vector_column as vector_column
from strop.pipeline.first_stage.vectors import vector_matrix as vector_matrix
from strop.pipeline.first_stage.vectors import vector_table as vector_table
from strop.pipeline.models import ModelFolder, check_vocabulary
from strop.pipeline.profiling import count_tokens, model_call
from strop.pipeline.progress import SILENT, Progress
from strop.pipeline.scoring.batches import Batching, token_budget_batches
from strop.pipeline.scoring.dense_layers import fast_dense_layers
from strop.pipeline.scoring.token_ids import token_ids


class Encoder:
    """Turns texts into vectors whose inner product is the first-stage score."""

    def __init__(self, folder: ModelFolder, config: BiEncoder) -> None:
        """Load the model; raises `InputError` when the folder holds no bi-encoder."""
        try:
            self._model = SentenceTransformer(
                str(folder.path),
                model_kwargs={"use_safetensors": True},
                trust_remote_code=False,
                local_files_only=True,
            )
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"bi-encoder {folder.name!r}: cannot be loaded ({reason})") from error
        check_vocabulary(self._model.tokenizer, f"bi-encoder {folder.name!r}")
        self._model.max_seq_length = min(config.max_tokens, self._model.max_seq_length or 10**9)
        self._batching = Batching.on(self._model.device, config.batch_tokens)
        self._normalize = self._model.similarity_fn_name in (None, "cosine")

    @property
    def dimension(self) -> int:
        """The width of a vector."""
        return int(self._model.get_embedding_dimension() or 0)

    def encode(self, texts: Sequence[str], *, prompt: str, progress: Progress = SILENT) -> Vectors:
        """One float32 vector a text, with ``prompt`` put before it; shape (texts, dimension).

        The prompt stands in for any default prompt of the model, also where it is empty.
        """
        found = np.zeros((len(texts), self.dimension), np.float32)
        with fast_dense_layers(self._model):
            lengths = self._lengths(texts, prompt)
            for rows in token_budget_batches(lengths, self._batching):
                count_tokens(int(lengths[rows].sum()), int(lengths[rows].max()) * len(rows))
                with model_call():
                    found[rows] = self._model.encode(
                        [texts[row] for row in rows],
                        prompt=prompt,
                        batch_size=len(rows),
                        normalize_embeddings=self._normalize,
                        show_progress_bar=False,
                        convert_to_numpy=True,
                    )
                progress.advance(len(rows))
        return found

    def _lengths(self, texts: Sequence[str], prompt: str) -> Ints:
        """Tokens of every text, or characters where the model has no tokenizer that counts."""
        tokenizer = self._model.tokenizer
        if not texts or not callable(tokenizer):
            return np.array([len(text) for text in texts], np.int64)
        prompted, limit = [prompt + text for text in texts], self._model.max_seq_length
        return token_ids(tokenizer, prompted, limit, special_tokens=True).lengths
