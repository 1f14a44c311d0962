"""What is put before queries and passages: the config's words, or else the bi-encoder's own.

Source: sentence-transformers' `encode_query` and `encode_document`, which choose among a model's
prompts by these names.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from strop.pipeline.config import BiEncoder
from strop.pipeline.errors import InputError

FILE = "config_sentence_transformers.json"
QUERY, PASSAGE = ("query",), ("document", "passage", "corpus")
"""Names of a model's prompts; the first that it has counts."""


@dataclass(frozen=True)
class Prompts:
    """What is put before every query and every passage."""

    query: str
    passage: str

    @classmethod
    def of(cls, config: BiEncoder, folder: Path) -> "Prompts":
        """The config's, or those of the model in ``folder`` where it has none.

        Raises `InputError` for a model whose prompts are no texts by name.
        """
        own = _own(folder, config.model) if config.own_prompts else {}
        return cls(
            config.query_prompt or _first(own, QUERY), config.passage_prompt or _first(own, PASSAGE)
        )


def _first(own: dict[str, str], names: tuple[str, ...]) -> str:
    return next((own[name] for name in names if name in own), "")


def _own(folder: Path, model: str) -> dict[str, str]:
    path = folder / FILE
    try:
        values: Any = json.loads(path.read_text("utf-8"))
        prompts = values.get("prompts") or {}
        if all(isinstance(text, str) for text in prompts.values()):
            return dict(prompts)
    except FileNotFoundError:
        return {}
    except (ValueError, AttributeError):
        pass
    raise InputError(f"bi-encoder {model!r}: {path}: prompts are not texts by name")
