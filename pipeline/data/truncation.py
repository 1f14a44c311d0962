"""How many passages are longer than a model reads, found before any model is loaded."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from tokenizers import Tokenizer

from strop.pipeline.data.passage_text import passage_text
from strop.pipeline.data.validation import Defects
from strop.pipeline.errors import InputError, counted
from strop.pipeline.models import resolve_model


@dataclass
class Truncation:
    """Counts passages with more tokens than the limit, special tokens aside, and what is cut."""

    model: str
    limit: int
    passages: int = 0
    cut: list[int] = field(default_factory=list)
    """Tokens too many, of each passage that has such."""
    longest: str = ""

    def __post_init__(self) -> None:
        """Load the tokenizer; raises `InputError` where the model has none of the fast kind."""
        path = resolve_model(self.model).path / "tokenizer.json"
        if not path.is_file():
            raise InputError(f"model {self.model!r}: {path} is missing, expected a fast tokenizer")
        self._tokenizer = Tokenizer.from_file(str(path))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def measure(self, corpus: pa.Table) -> None:
        """Take some passages into account."""
        columns = (corpus[name].to_pylist() for name in ("title", "text"))
        texts = [passage_text(title, text) for title, text in zip(*columns, strict=True)]
        encoded = self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)
        for row, found in enumerate(encoded):
            too_many = len(found) - self.limit
            if too_many > 0:
                if too_many > max(self.cut, default=0):
                    self.longest = corpus["passage_id"][row].as_py()
                self.cut.append(too_many)
        self.passages += len(texts)

    def warn(self, defects: Defects, source: str) -> None:
        """Warn of the passages that were too long, where there were any."""
        if not self.cut:
            return
        have = "has" if len(self.cut) == 1 else "have"
        share, typical = len(self.cut) / self.passages, int(np.median(self.cut))
        defects.warn(
            "passage will be cut",
            f"{source}: {counted(len(self.cut), 'passages')} ({share:.1%}) {have} more than "
            f"{self.limit} tokens of {self.model}; half of them lose {typical:,} or more, passage "
            f"{self.longest!r} loses {max(self.cut):,}",
        )
