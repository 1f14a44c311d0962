"""What a round's training is made from: weights, groups, their tokens, and dev's queries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.store import Store
from strop.pipeline.config import Config
from strop.pipeline.mining.verdicts import RELEVANT, without_false_negatives
from strop.tasks.candidates import candidates_of_split
from strop.tasks.documents import document_map
from strop.tasks.pair_source import pair_source

if TYPE_CHECKING:
    from strop.pipeline.scoring.reranker import LoadedReranker
    from strop.pipeline.training.development import Development

Optional = ArtifactRef | None


@dataclass(frozen=True)
class TrainingInputs:
    """What a training is made from.

    ``base`` is averaged with the reranker; ``earlier`` negatives are replayed, and what
    ``verdicts`` found relevant is no negative there either; ``dataset`` and ``candidates`` give the
    dev queries that are measured during the training.
    """

    reranker: ArtifactRef
    negatives: ArtifactRef
    tokens: ArtifactRef
    base: Optional = None
    earlier: tuple[ArtifactRef, ...] = ()
    dataset: Optional = None
    candidates: Optional = None
    verdicts: Optional = None

    def refs(self) -> dict[str, ArtifactRef]:
        """The inputs by role."""
        roles = {
            "reranker": self.reranker,
            "negatives": self.negatives,
            "tokens": self.tokens,
            "base": self.base,
            "dataset": self.dataset,
            "candidates": self.candidates,
            "verdicts": self.verdicts,
            **{f"earlier-{index}": ref for index, ref in enumerate(self.earlier, start=1)},
        }
        return {role: ref for role, ref in roles.items() if ref is not None}


def groups_of(store: Store, inputs: TrainingInputs) -> tuple[pa.Table, list[pa.Table]]:
    """The round's negatives, and those of earlier rounds, which were mined before the verdicts."""
    earlier = [store.table(ref, "negatives") for ref in inputs.earlier]
    if inputs.verdicts is not None and earlier:
        said = store.table(inputs.verdicts, "verdicts")
        documents = document_map(store, store.manifest(inputs.earlier[0]).inputs["dataset"])
        if documents:
            relevant = said.filter(pc.equal(said["verdict"].cast(pa.string()), RELEVANT))
            said = pa.concat_tables([said, documents.siblings_of(relevant)]).unify_dictionaries()
        earlier = [without_false_negatives(table, said) for table in earlier]
    return store.table(inputs.negatives, "negatives"), earlier


def starting_weights(store: Store, inputs: TrainingInputs, config: Config) -> "LoadedReranker":
    """The reranker that the training starts from."""
    from strop.pipeline.scoring.reranker import load_reranker
    from strop.pipeline.training.averaging import average_weights

    trusted = config.reranker.trust_remote_code
    last = load_reranker(store.folder(inputs.reranker), trust_remote_code=trusted)
    if inputs.base is None:
        return last
    return average_weights(
        load_reranker(store.folder(inputs.base), trust_remote_code=trusted), last
    )


def has_fresh_head(store: Store, inputs: TrainingInputs) -> bool:
    """Whether those weights end in a head that was never trained."""
    return bool(store.manifest(inputs.reranker).summary.get("fresh_head"))


def development_of(store: Store, inputs: TrainingInputs, config: Config) -> "Development | None":
    """Dev's queries, when the training is measured on them."""
    from strop.pipeline.training.development import Development

    if config.training.evaluate_every is None or not (inputs.dataset and inputs.candidates):
        return None
    return Development.of(
        candidates_of_split(store, inputs.candidates, "dev"),
        store.table(inputs.dataset, "queries"),
        store.table(inputs.dataset, "qrels"),
        depth=config.evaluation.depth,
        documents=document_map(store, inputs.dataset),
    )


def tokens_of(
    store: Store,
    inputs: TrainingInputs,
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
    return pair_source(store, inputs.tokens, pa.chunked_array(chunks), pa.chunked_array(passages))
