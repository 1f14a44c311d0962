"""The reranker artifact: the last reranker fine-tuned on this round's groups."""

from typing import Any

from strop import __version__
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt
from strop.pipeline.config import Config
from strop.pipeline.progress import Progress
from strop.pipeline.training.model_card import model_card
from strop.tasks.pair_source import pair_source
from strop.tasks.stage import Place, carry_out, stage_task


@stage_task("train")
def train(
    place: Place,
    reranker: ArtifactRef,
    negatives: ArtifactRef,
    tokens: ArtifactRef,
    config: Config,
    number: int,
) -> Any:
    """Train a reranker on the negatives of one round."""
    inputs = {"reranker": reranker, "negatives": negatives, "tokens": tokens}
    names = {"max_tokens", "max_query_tokens", "trust_remote_code"}
    parameters = {
        **config.training.model_dump(mode="json", exclude={"start"}),
        **config.reranker.model_dump(mode="json", include=names),
        "seed": config.seed,
        "round": number,
        "rounds": config.rounds,
    }
    recipe = Recipe("reranker", "train", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        from strop.pipeline.scoring.reranker import load_reranker, save_reranker
        from strop.pipeline.training import train as training

        store = place.open()
        table = store.table(negatives, "negatives")
        source = pair_source(store, tokens, table["query_id"], training.passages_of(table))
        loaded = load_reranker(
            store.folder(reranker), trust_remote_code=config.reranker.trust_remote_code
        )
        trained = training.train(
            loaded, table, source, config, round_number=number, progress=progress
        )
        summary: dict[str, Any] = training.training_summary(trained.log)
        card = model_card(
            version=__version__,
            parent=f"{reranker.kind} {reranker.id}",
            round=number,
            rounds=config.rounds,
            queries=table.num_rows,
            pairs=summary["pairs"],
            max_tokens=config.reranker.max_tokens,
            max_query_tokens=config.reranker.max_query_tokens,
        )
        limit = config.reranker.max_tokens
        save_reranker(trained.reranker, attempt.folder, max_tokens=limit, card=card)
        attempt.write_table("train_log", trained.log)
        return summary

    return carry_out(place, recipe, compute)
