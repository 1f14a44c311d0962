"""The reranker artifact: the last reranker fine-tuned on this round's groups."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import Config
from strop.pipeline.mining.verdicts import without_false_negatives
from strop.pipeline.progress import Progress
from strop.pipeline.training.model_card import model_card
from strop.tasks.pair_source import pair_source
from strop.tasks.score import scoring_parameters
from strop.tasks.stage import Place, carry_out, stage_task

if TYPE_CHECKING:
    from strop.pipeline.scoring.reranker import LoadedReranker
    from strop.pipeline.training.development import Development

Optional = ArtifactRef | None


@stage_task("train")
def train(
    place: Place,
    reranker: ArtifactRef,
    negatives: ArtifactRef,
    tokens: ArtifactRef,
    config: Config,
    number: int,
    *,
    base: Optional = None,
    earlier: Sequence[ArtifactRef] = (),
    dataset: Optional = None,
    candidates: Optional = None,
    verdicts: Optional = None,
) -> Any:
    """Train a reranker on the negatives of one round.

    ``base`` is averaged with the reranker before; ``earlier`` negatives are replayed; ``dataset``
    and ``candidates`` give the dev queries that are measured during the training. What ``verdicts``
    found relevant is no negative in a replay either.
    """
    roles = {
        "reranker": reranker,
        "negatives": negatives,
        "tokens": tokens,
        "base": base,
        "dataset": dataset,
        "candidates": candidates,
        "verdicts": verdicts,
        **{f"earlier-{index}": ref for index, ref in enumerate(earlier, start=1)},
    }
    inputs = {role: ref for role, ref in roles.items() if ref is not None}
    recipe = Recipe("reranker", "train", 3, _parameters(config, number), inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.training import train as training

        store = place.open()
        mined = [store.table(negatives, "negatives"), *_replayed(store, earlier, verdicts)]
        development = _development(store, dataset, candidates, config)
        source = _source(store, tokens, mined, development)
        steps, tracked = config.execution.checkpoint_steps, bool(config.execution.report_to)
        trained = training.train(
            _start(store, reranker, base, config),
            mined[0],
            source,
            config,
            round_number=number,
            earlier=mined[1:],
            fresh_head=bool(store.manifest(reranker).summary.get("fresh_head")),
            development=development,
            surroundings=training.Surroundings(
                checkpoints=None if steps is None else store.work_folder(recipe),
                tracking=store.root / "tracking" / recipe.id if tracked else None,
                progress=progress,
            ),
        )
        summary: dict[str, Any] = training.training_summary(trained)
        card = model_card(
            config,
            round_number=number,
            lineage=_lineage(store, inputs),
            queries=mined[0].num_rows,
            summary=summary,
        )
        _write(attempt, trained, config, card)
        return summary

    return carry_out(place, recipe, compute)


def _write(attempt: Attempt, trained: Any, config: Config, card: str) -> None:
    """The model folder with its card, and what was logged on the way."""
    from strop.pipeline.scoring.reranker import save_reranker

    limit = config.reranker.max_tokens
    save_reranker(trained.reranker, attempt.folder, max_tokens=limit, card=card)
    attempt.write_table("train_log", trained.log)
    if trained.dev_log is not None:
        attempt.write_table("dev_log", trained.dev_log)


def _parameters(config: Config, number: int) -> dict[str, Any]:
    """The identity parameters; what a round starts from is told by the inputs."""
    names = {"max_tokens", "max_query_tokens", "trust_remote_code"}
    measured = {
        "metric": config.evaluation.metrics[0],
        "depth": config.evaluation.depth,
        **scoring_parameters(config),
    }
    return {
        **config.training.model_dump(mode="json", exclude={"start"}),
        **config.reranker.model_dump(mode="json", include=names),
        **(measured if config.training.evaluate_every is not None else {}),
        "epoch_order": config.mining.curriculum.epoch,
        "seed": config.seed,
        "round": number,
        "rounds": config.rounds,
    }


def _replayed(store: Store, earlier: Sequence[ArtifactRef], verdicts: Optional) -> list[pa.Table]:
    """The negatives of earlier rounds, which were mined before the verdicts."""
    found = [store.table(ref, "negatives") for ref in earlier]
    if verdicts is None:
        return found
    said = store.table(verdicts, "verdicts")
    return [without_false_negatives(table, said) for table in found]


def _start(store: Store, reranker: ArtifactRef, base: Optional, config: Config) -> "LoadedReranker":
    """The weights that the training starts from."""
    from strop.pipeline.scoring.reranker import load_reranker
    from strop.pipeline.training.averaging import average_weights

    trusted = config.reranker.trust_remote_code
    last = load_reranker(store.folder(reranker), trust_remote_code=trusted)
    if base is None:
        return last
    return average_weights(load_reranker(store.folder(base), trust_remote_code=trusted), last)


def _development(
    store: Store, dataset: Optional, candidates: Optional, config: Config
) -> "Development | None":
    """Dev's queries, when the training is measured on them."""
    from strop.pipeline.training.development import Development

    if config.training.evaluate_every is None or dataset is None or candidates is None:
        return None
    return Development.of(
        store.table(candidates, "candidates"),
        store.table(dataset, "queries"),
        store.table(dataset, "qrels"),
        depth=config.evaluation.depth,
    )


def _source(
    store: Store,
    tokens: ArtifactRef,
    mined: Sequence[pa.Table],
    development: "Development | None",
) -> Any:
    """The tokens of all that is trained on or measured."""
    from strop.pipeline.training.train import passages_of

    queries, passages = [table["query_id"] for table in mined], [passages_of(*mined)]
    if development is not None:
        queries.append(development.candidates["query_id"])
        passages += development.candidates["passage_id"].chunks
    chunks = [chunk for column in queries for chunk in column.chunks]
    return pair_source(store, tokens, pa.chunked_array(chunks), pa.chunked_array(passages))


def _lineage(store: Store, inputs: dict[str, ArtifactRef]) -> dict[str, str]:
    """The names of the artifacts that the training came from, by role."""
    dataset = inputs.get("dataset") or store.manifest(inputs["negatives"]).inputs.get("dataset")
    roles = {**({"dataset": dataset} if dataset else {}), **inputs}
    return {role: f"{ref.kind} {ref.id}" for role, ref in roles.items()}
