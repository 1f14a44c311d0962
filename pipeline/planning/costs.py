"""What one unit of each kind of work costs on this machine, measured on the run's own data."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class UnitCosts:
    """Seconds, tokens and bytes of single units on a device; padding does not count as tokens.

    ``libraries`` is what a process takes to load the numerical libraries, ``load_encoder`` and
    ``load_reranker`` what a stage takes to load its model. ``pair_tokens`` and ``text_tokens`` are
    means of a sample. ``build_index`` and ``search_index`` are seconds of a unit of work, as
    `index_costs` counts it; 0 without an index. ``index_words`` and ``search_words`` are those of
    BM25 by passage, and by passage and query; 0 without it, as the encoder's are without one.
    ``resident_bytes`` is this process when both models have worked, ``activation_bytes`` what a
    trained token holds until the backward pass.
    """

    device: str
    libraries: float
    load_encoder: float
    load_reranker: float
    tokenize_text: float
    encode_token: float
    score_token: float
    train_token: float
    multiply_add: float
    build_index: float
    search_index: float
    index_words: float
    search_words: float
    passage_tokens: float
    query_tokens: float
    pair_tokens: float
    width: int
    parameters: int
    fresh_head: bool
    resident_bytes: int
    activation_bytes: float

    def keep(self, path: Path) -> None:
        """Write them where the next plan finds them."""
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_suffix(".new")
        new.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")
        new.replace(path)

    @classmethod
    def kept(cls, path: Path) -> "UnitCosts | None":
        """The costs that were kept there; none where there are none that can be read."""
        try:
            return cls(**json.loads(path.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None
