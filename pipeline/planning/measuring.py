"""Unit costs by doing a little of each kind of work, with the run's models, data and limits."""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import psutil
import pyarrow as pa

from strop.artifacts.schemas import NEGATIVES
from strop.pipeline.config import Config
from strop.pipeline.models import ModelFolder
from strop.pipeline.planning.costs import UnitCosts
from strop.pipeline.planning.retrieval_costs import measure_retrieval
from strop.pipeline.profiling import Recorder, recording
from strop.pipeline.seeds import generator

if TYPE_CHECKING:
    from strop.pipeline.first_stage.encoding import Encoder
    from strop.pipeline.scoring.reranker import LoadedReranker
    from strop.pipeline.scoring.scorer import PairSource, Scorer
    from strop.pipeline.scoring.tokens import TokenTable

TEXTS, PAIRS, STEPS = 192, 192, 4
"""How much is done of each: passages, pairs, and training steps, of which the first warms up."""
WARM = 16
"""Texts and pairs that warm up."""
ENOUGH_SECONDS, MANY_TIMES, MANY_PAIRS, MANY_STEPS = 0.5, 16, 6_144, 60
"""Work of a small model that took less is done again with more: what a shape of batches costs the
first time it is met would be most of it."""
MANY_TEXTS, TOKENIZE_SECONDS = 1 << 14, 1.0
"""Texts that are tokenized at once, and how many seconds of that are enough."""
STEP_PAIRS = 48
"""Pairs of a measured training step, nearly; a larger one costs as much a token."""


@dataclass(frozen=True)
class Sample:
    """Some texts of the run's data."""

    passages: Sequence[str]
    queries: Sequence[str]


def measure(
    sample: Sample, config: Config, encoder: ModelFolder | None, base: ModelFolder
) -> UnitCosts:
    """The costs on this machine's device; takes seconds to a minute.

    There is no ``encoder`` where the run retrieves without one.
    """
    started, loaded = time.process_time(), "torch" in sys.modules
    import sentence_transformers  # noqa: F401
    import transformers  # noqa: F401

    libraries = 0.0 if loaded else time.process_time() - started
    load_encoder, encode_token, width, texts = (
        _encoding(sample, config, encoder) if encoder else (0.0, 0.0, 0, None)
    )
    started = clock()
    from strop.pipeline.scoring.reranker import check_positions, initialise

    reranker, fresh = initialise(
        base.path,
        base.name,
        seed=config.seed,
        trust_remote_code=config.reranker.trust_remote_code,
        replace_head=config.reranker.replace_head,
    )
    load_reranker = clock() - started
    check_positions(reranker, config.reranker.base, config.reranker.max_tokens)
    tokenize_text, source = _tokenizing(sample, reranker)
    if texts is None:
        texts = _mean_tokens(source.passages), _mean_tokens(source.queries)
    score_token, pair_tokens = _scoring(reranker, source, config)
    resident = psutil.Process().memory_info().rss
    retrieval = measure_retrieval(
        sample.passages, sample.queries, config, clock, width=width if encoder else None
    )
    train_token, held = _training(reranker, source, config)
    return UnitCosts(
        device=_device(),
        libraries=libraries,
        load_encoder=load_encoder,
        load_reranker=load_reranker,
        tokenize_text=tokenize_text,
        encode_token=encode_token,
        score_token=score_token,
        train_token=train_token,
        **asdict(retrieval),
        passage_tokens=texts[0],
        query_tokens=texts[1],
        pair_tokens=pair_tokens,
        width=width,
        parameters=reranker.num_parameters,
        fresh_head=fresh,
        resident_bytes=resident,
        activation_bytes=held,
    )


def clock() -> float:
    """Seconds of work where nothing else runs: on a CPU the process's CPU time over its threads."""
    import torch

    if torch.cuda.is_available():
        return time.perf_counter()
    return time.process_time() / torch.get_num_threads()


def _device() -> str:
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else "cpu"


def _encoding(
    sample: Sample, config: Config, folder: ModelFolder
) -> tuple[float, float, int, tuple[float, float]]:
    from strop.pipeline.first_stage.encoding import Encoder
    from strop.pipeline.first_stage.prompts import Prompts

    started = clock()
    encoder = Encoder(folder, config.bi_encoder)
    load = clock() - started
    encoder.encode(sample.passages[:WARM], prompt="")
    prompts = Prompts.of(config.bi_encoder, folder.path)
    seconds, tokens = zip(
        _encoded(encoder, sample.passages, prompts.passage),
        _encoded(encoder, sample.queries, prompts.query),
        strict=True,
    )
    each = sum(seconds) / sum(tokens)
    if sum(seconds) < ENOUGH_SECONDS:
        many, count = _encoded(encoder, [*sample.passages] * MANY_TIMES, prompts.passage)
        each = many / count
    means = tokens[0] / len(sample.passages), tokens[1] / len(sample.queries)
    return load, each, encoder.dimension, means


def _encoded(encoder: "Encoder", texts: Sequence[str], prompt: str) -> tuple[float, int]:
    """Seconds and tokens of some texts."""
    started = clock()
    with recording(Recorder()) as counted:
        encoder.encode(texts, prompt=prompt)
    return clock() - started, counted.tokens


def _tokenizing(sample: Sample, reranker: "LoadedReranker") -> tuple[float, "PairSource"]:
    from strop.pipeline.scoring.scorer import PairSource
    from strop.pipeline.scoring.tokens import TokenTable, tokenize

    tables, started = [], clock()
    for prefix, texts in (("q", sample.queries), ("p", sample.passages)):
        ids = pa.chunked_array([[f"{prefix}{number}" for number in range(len(texts))]])
        tables.append(TokenTable(tokenize(reranker.tokenizer, ids, texts, 32_768)))
    seconds = clock() - started
    each = seconds / (len(sample.queries) + len(sample.passages))
    return _tokenizing_many(sample.passages, reranker, each), PairSource(*tables)


def _mean_tokens(texts: "TokenTable") -> float:
    return float(texts.ragged.lengths.mean())


def _tokenizing_many(texts: Sequence[str], reranker: "LoadedReranker", each: float) -> float:
    """Seconds of a text in a batch as large as the stage's: more than in a small one."""
    from strop.pipeline.scoring.tokens import token_column

    count = int(min(MANY_TEXTS, max(len(texts), TOKENIZE_SECONDS / each)))
    many = [texts[number % len(texts)] for number in range(count)]
    started = clock()
    token_column(reranker.tokenizer, many, 32_768)
    return (clock() - started) / count


def _scoring(
    reranker: "LoadedReranker", source: "PairSource", config: Config
) -> tuple[float, float]:
    from strop.pipeline.scoring.scorer import Scorer

    scorer, random = Scorer(reranker, source, config.reranker), generator(config.seed, "plan")
    seconds, tokens = _scored(scorer, source, random, PAIRS, warm=WARM)
    pair_tokens = tokens / PAIRS
    if seconds < ENOUGH_SECONDS:
        seconds, tokens = _scored(scorer, source, random, MANY_PAIRS, warm=MANY_PAIRS)
    return seconds / tokens, pair_tokens


def _scored(
    scorer: "Scorer", source: "PairSource", random: np.random.Generator, pairs: int, *, warm: int
) -> tuple[float, int]:
    """Seconds and tokens of so many pairs, the first of which warm up."""
    queries = random.integers(len(source.queries.ids), size=pairs)
    passages = random.integers(len(source.passages.ids), size=pairs)
    scorer.score_rows(queries[:warm], passages[:warm])
    started = clock()
    with recording(Recorder()) as counted:
        scorer.score_rows(queries, passages)
    return clock() - started, counted.tokens


class _Clock:
    """Progress of a training: when each step ended, and the most memory that was seen then."""

    def __init__(self) -> None:
        self.times: list[float] = []
        self.resident = 0

    def start(self, total: int, unit: str) -> None:
        """Ignore."""

    def advance(self, count: int) -> None:
        """Note the time."""
        self.times.append(clock())
        self.resident = max(self.resident, psutil.Process().memory_info().rss)


def _training(
    reranker: "LoadedReranker", source: "PairSource", config: Config
) -> tuple[float, float]:
    """Seconds of a token, and bytes that it holds."""
    seconds, tokens, held = _trained(reranker, source, config, STEPS)
    if seconds < ENOUGH_SECONDS:
        seconds, tokens, _ = _trained(reranker, source, config, MANY_STEPS)
    return seconds / tokens, held


def _trained(
    reranker: "LoadedReranker", source: "PairSource", config: Config, steps: int
) -> tuple[float, float, float]:
    """Seconds and tokens of a training without its first step, and bytes that a token held."""
    from strop.pipeline.training.train import Surroundings, train

    size = max(2, min(config.mining.group_size, len(source.passages.ids)))
    groups = max(1, STEP_PAIRS // size)
    few = config.model_copy(
        update={
            "training": config.training.model_copy(
                update={
                    "groups_per_step": groups,
                    "epochs": 1,
                    "pairs_per_round": None,
                    "evaluate_every": None,
                    "patience": None,
                    "losses": type(config.training)().losses,
                }
            )
        }
    )
    clock, before = _Clock(), psutil.Process().memory_info().rss
    negatives = _groups(source, few, count=steps * groups, size=size)
    trained = train(
        reranker, negatives, source, few, round_number=1, surroundings=Surroundings(progress=clock)
    )
    tokens = trained.log["tokens"].to_numpy()
    weights = 3 * 4 * reranker.num_parameters
    return (
        clock.times[-1] - clock.times[0],
        float(tokens[1:].sum()),
        max(0.0, (clock.resident - before - weights) / float(tokens.max())),
    )


def _groups(source: "PairSource", config: Config, *, count: int, size: int) -> pa.Table:
    random = generator(config.seed, "plan groups")
    queries, passages = source.queries.ids.to_pylist(), source.passages.ids.to_pylist()
    rows = []
    for number in range(count):
        drawn = random.choice(len(passages), size, replace=False).tolist()
        scores = {"first_stage_score": 0.0, "teacher_score": None}
        mined = [
            {
                "passage_id": passages[place],
                "score": 0.0,
                "rank": rank,
                "sampler": "top",
                "hardness": 0.0,
                "weight": 1.0,
                **scores,
            }
            for rank, place in enumerate(drawn[1:], start=1)
        ]
        rows.append(
            {
                "query_id": queries[number % len(queries)],
                "positives": [{"passage_id": passages[drawn[0]], "grade": 1, **scores}],
                "negatives": mined,
                "group_size": size,
                "difficulty": 0.0,
                "weight": 1.0,
            }
        )
    return pa.Table.from_pylist(rows, schema=NEGATIVES)
