"""The first stage of a run: candidates by vectors, by words, by both, or from a run file."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from strop.artifacts.manifest import ArtifactRef
from strop.pipeline.config import GIVEN, BiEncoder, Config, Pool
from strop.pipeline.errors import InputError
from strop.tasks.build_index import build_index, check_index
from strop.tasks.encode import encode
from strop.tasks.fuse import fuse
from strop.tasks.given import read_given_pool
from strop.tasks.import_model import import_model
from strop.tasks.import_run_file import import_run_file, read_run_file
from strop.tasks.index_words import index_words
from strop.tasks.retrieve import DENSE, retrieve
from strop.tasks.retrieve_words import retrieve_words
from strop.tasks.stage import Place, call

BM25, FUSED = "bm25", "fused"
BUILT_IN = (DENSE, BM25, FUSED, GIVEN)


@dataclass(frozen=True)
class FirstStage:
    """The retrievers of one run over one data set; ``made`` keeps what several of them share."""

    config: Config
    place: Place
    dataset: ArtifactRef
    made: dict[tuple[str, ...], ArtifactRef] = field(default_factory=dict)

    def once(self, *key: str, make: Callable[[], ArtifactRef]) -> ArtifactRef:
        """What ``make`` returned when it was first asked for under this key."""
        if key not in self.made:
            self.made[key] = make()
        return self.made[key]

    def place_of(self, source: str) -> Place:
        """Where a source's stages run, so that people can tell two bi-encoders apart."""
        if source in BUILT_IN:
            return self.place
        return replace(self.place, part=f"{self.place.part} · {Path(source).name}")


def check_sources(config: Config) -> None:
    """Raise `InputError` for a pool from nowhere, and for a bi-encoder under a name in use."""
    more = config.first_stage.more_encoders
    for name in BUILT_IN:
        if name in more:
            raise InputError(
                f"first_stage.more_encoders.{name}: a name that strop uses itself, expected "
                f"another than {', '.join(BUILT_IN)}"
            )
    for number, pool in enumerate(config.mining.more_pools):
        if _is_run_file(config, pool.source) and not _path(pool.source).is_file():
            raise InputError(
                f"mining.more_pools[{number}].source = {pool.source!r}: no such retriever and no "
                f"such file, expected one of {', '.join((*BUILT_IN, *more))} or a run file's path"
            )


def open_first_stage(config: Config, place: Place, dataset: ArtifactRef) -> FirstStage:
    """The retrievers that the config names; their models are found and run files read.

    What is wrong with those is thus refused before hours of encoding.
    """
    first_stage = FirstStage(config, place, dataset)
    check_index(place.open(), dataset, config.first_stage.index)
    for source in _encoders(config):
        _model(first_stage, source)
    for pool in config.mining.more_pools:
        if pool.source == GIVEN or _is_run_file(config, pool.source):
            _pool_candidates(first_stage, pool)
    return first_stage


def encoder_names(config: Config) -> dict[str, str]:
    """The models of the bi-encoders that a run retrieves with, by the config's keys."""
    return {_model_key(source): _encoder(config, source).model for source in _encoders(config)}


def run_files(config: Config) -> list[Path]:
    """The run files that a run mines from."""
    sources = dict.fromkeys(pool.source for pool in config.mining.more_pools)
    return [_path(source) for source in sources if _is_run_file(config, source)]


def _encoders(config: Config) -> list[str]:
    """The sources that take a bi-encoder, each once; fusion takes the production one."""
    pools = (pool.source for pool in config.mining.more_pools)
    sources = [DENSE if name == FUSED else name for name in (config.first_stage.ranking, *pools)]
    return [source for source in dict.fromkeys(sources) if _is_encoder(config, source)]


def production_candidates(first_stage: FirstStage) -> ArtifactRef:
    """The candidates that production retrieves, and that are reranked and measured."""
    chosen = first_stage.config.first_stage
    return candidates(first_stage, chosen.ranking, chosen.depth)


def more_pools(first_stage: FirstStage) -> dict[str, ArtifactRef]:
    """The candidates of `mining.more_pools` down to each one's last rank, as ``pool_1``, …"""
    pools = enumerate(first_stage.config.mining.more_pools, start=1)
    return {f"pool_{number}": _pool_candidates(first_stage, pool) for number, pool in pools}


def _pool_candidates(first_stage: FirstStage, pool: Pool) -> ArtifactRef:
    return candidates(first_stage, pool.source, pool.min_rank + pool.size - 1)


def candidates(first_stage: FirstStage, source: str, depth: int) -> ArtifactRef:
    """A source's best passages for every query; made once, whoever asks."""
    if source == BM25:
        make = _by_words
    elif source == FUSED:
        make = _fused
    elif source == GIVEN:
        make = _given
    elif _is_encoder(first_stage.config, source):
        make = _by_vectors
    else:
        make = _from_run_file
    return first_stage.once(
        "candidates", source, str(depth), make=lambda: make(first_stage, source, depth)
    )


def _by_vectors(first_stage: FirstStage, source: str, depth: int) -> ArtifactRef:
    place, dataset = first_stage.place_of(source), first_stage.dataset
    model, config = _model(first_stage, source), _encoder(first_stage.config, source)
    embeddings = first_stage.once(
        "embeddings", source, make=lambda: call(encode, place, dataset, model, config)
    )
    index = first_stage.config.first_stage.index
    how: dict[str, Any] = {}
    if index.type != "exact":
        built = first_stage.once(
            "index", source, make=lambda: call(build_index, place, embeddings, index)
        )
        how = {"index": built, "config": index}
    found: ArtifactRef = call(retrieve, place, dataset, embeddings, depth, source, **how)
    return found


def _by_words(first_stage: FirstStage, source: str, depth: int) -> ArtifactRef:
    place, dataset = first_stage.place, first_stage.dataset
    config = first_stage.config.first_stage.bm25
    index = first_stage.once(
        "index", source, make=lambda: call(index_words, place, dataset, config)
    )
    found: ArtifactRef = call(retrieve_words, place, dataset, index, depth)
    return found


def _fused(first_stage: FirstStage, source: str, depth: int) -> ArtifactRef:
    """Both lists reach down to the first stage's depth at least, so that all pools share them."""
    config = first_stage.config.first_stage
    reach = max(depth, config.depth)
    lists = {name: candidates(first_stage, name, reach) for name in (DENSE, BM25)}
    found: ArtifactRef = call(
        fuse,
        first_stage.place,
        first_stage.dataset,
        lists,
        constant=config.fusion_constant,
        depth=depth,
    )
    return found


def _given(first_stage: FirstStage, source: str, depth: int) -> ArtifactRef:
    place, dataset = first_stage.place, first_stage.dataset
    found: ArtifactRef = call(read_given_pool, place, dataset, depth)
    return found


def _from_run_file(first_stage: FirstStage, source: str, depth: int) -> ArtifactRef:
    place, run_file = first_stage.place_of(source), _run_file(first_stage, source)
    path = _path(source)
    found: ArtifactRef = call(read_run_file, place, first_stage.dataset, run_file, path, depth)
    return found


def _model(first_stage: FirstStage, source: str) -> ArtifactRef:
    place, name = first_stage.place_of(source), _encoder(first_stage.config, source).model
    what = _model_key(source)
    return first_stage.once("model", source, make=lambda: call(import_model, place, name, what))


def _run_file(first_stage: FirstStage, source: str) -> ArtifactRef:
    place, path = first_stage.place_of(source), _path(source)
    return first_stage.once("run file", source, make=lambda: call(import_run_file, place, path))


def _model_key(source: str) -> str:
    section = "bi_encoder" if source == DENSE else f"first_stage.more_encoders.{source}"
    return f"{section}.model"


def _encoder(config: Config, source: str) -> BiEncoder:
    return config.bi_encoder if source == DENSE else config.first_stage.more_encoders[source]


def _is_encoder(config: Config, source: str) -> bool:
    return source == DENSE or source in config.first_stage.more_encoders


def _is_run_file(config: Config, source: str) -> bool:
    return source not in BUILT_IN and not _is_encoder(config, source)


def _path(source: str) -> Path:
    return Path(source).expanduser()
