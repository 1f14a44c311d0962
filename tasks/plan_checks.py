"""What a run refuses at its start, asked without a run: nothing is imported or kept."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.names import looks_like_id
from strop.artifacts.store import Store
from strop.pipeline.config import GIVEN, Config, GuardSet, Reranker
from strop.pipeline.data.importing import import_split
from strop.pipeline.data.locations import location
from strop.pipeline.data.query_fields import require_fields
from strop.pipeline.errors import valued
from strop.pipeline.models import ModelFolder, resolve_model
from strop.tasks.build_index import check_index_of
from strop.tasks.by_id import artifact_by_id
from strop.tasks.given import require_pool, require_scores
from strop.tasks.guard import naming_guard_set
from strop.tasks.initialise import require_head
from strop.tasks.models_by_name import model_by_name
from strop.tasks.plan_data import PlannedData, opened
from strop.tasks.review import require_pairs, verdicts_in


def check_data(config: Config, store: Store | None, data: PlannedData) -> None:
    """Raise `InputError` for what the config says of data that are not so."""
    require_fields(config.evaluation.slices, data.fields)
    _check_calibration(config, data)
    if config.mining.teacher == GIVEN:
        require_scores(data.has_scores, data.name)
    if any(pool.source == GIVEN for pool in config.mining.more_pools):
        require_pool(data.has_pool, data.name)
    if name := config.mining.verdicts:
        _check_verdicts(opened(store, "mining.verdicts", name), name, data)
    for guard in config.decision.guard_sets:
        _check_guard_set(guard, store)
    check_index_of(data.passages, config.first_stage.index)


def check_run_files(paths: Sequence[Path], data: PlannedData) -> None:
    """Raise `InputError` for a run file that cannot be read, or ranks what the data lack."""
    from strop.pipeline.first_stage.run_file import Lines, known_query_rows, read_run

    for path in paths:
        run, first = read_run(path)
        known_query_rows(
            run,
            data.queries,
            data.corpus["passage_id"].combine_chunks(),
            lines=Lines(str(path), first),
            documents=data.documents,
        )


def check_encoders(names: Mapping[str, str]) -> None:
    """Raise `InputError` for a bi-encoder, given by its key, that is not there."""
    for key, name in names.items():
        resolve_model(name, key)


def check_reranker(
    store: Store | None, key: str, name: str, settings: Reranker, *, seed: int
) -> None:
    """Raise `InputError` for a model that is no trained reranker, or reads too few tokens."""
    from strop.pipeline.scoring.reranker import check_positions, initialise

    folder = named_model(store, key, name)
    loaded, fresh = initialise(
        folder.path,
        name,
        seed=seed,
        trust_remote_code=settings.trust_remote_code,
        replace_head=settings.replace_head,
    )
    check_positions(loaded, name, settings.max_tokens)
    require_head(fresh, valued(key, name))


def named_model(store: Store | None, key: str, name: str) -> ModelFolder:
    """A model by its name, or by its id in the store that there is."""
    if not looks_like_id(name):
        return resolve_model(name, key)
    return model_by_name(opened(store, key, name), name, key)


def _check_calibration(config: Config, data: PlannedData) -> None:
    method = config.evaluation.calibration
    if method == "none":
        return
    from strop.pipeline.evaluation.calibration import check_judgements
    from strop.pipeline.evaluation.metrics import judge

    check_judgements(judge(data.qrels, data.queries, split="dev"), method)


def _check_verdicts(store: Store, name: str, data: PlannedData) -> None:
    said = verdicts_in(store, artifact_by_id(store, name, "verdicts", key="mining.verdicts").ref)
    passages = pa.array({passage for _, passage in said}, pa.string())
    known = pc.filter(passages, pc.is_in(passages, value_set=data.corpus["passage_id"]))
    queries = set(data.queries["query_id"].to_pylist())
    require_pairs(said, queries, set(known.to_pylist()), name, data.name)


def _check_guard_set(guard: GuardSet, store: Store | None) -> None:
    from strop.pipeline.evaluation.metrics import judge

    with naming_guard_set(guard.name):
        if looks_like_id(guard.dataset):
            kept = opened(store, "dataset", guard.dataset)
            manifest = artifact_by_id(kept, guard.dataset, "dataset", key="dataset")
            queries, qrels = (kept.table(manifest, name) for name in ("queries", "qrels"))
        else:
            folder = location(Path(guard.dataset).expanduser())
            found = import_split(folder, guard.split, write_corpus=lambda passages: None)
            queries, qrels = found.queries, found.qrels
        judge(qrels, queries, split=guard.split)
