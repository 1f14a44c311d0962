"""Mining: a decision on every row of the window, then the negatives and suspects read off it."""

import dataclasses
import json
from collections.abc import Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from strop.artifacts import tables
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Attempt, Store
from strop.pipeline.config import GIVEN, Config, Mining
from strop.pipeline.encoded import compact, each, encoded, indices, plain
from strop.pipeline.mining import negatives as derived
from strop.pipeline.mining.calibration import Calibration
from strop.pipeline.mining.changes import selection_changes
from strop.pipeline.mining.cross_fitting import without
from strop.pipeline.mining.dev_calibration import dev_calibrations
from strop.pipeline.mining.duplicates import text_keys
from strop.pipeline.mining.feedback import GroupSize
from strop.pipeline.mining.near_duplicates import WordSets, largest_overlap, word_sets
from strop.pipeline.mining.pool import KEYS
from strop.pipeline.mining.rows import selection_rows
from strop.pipeline.mining.sampling import draws_apart
from strop.pipeline.mining.scored_rows import scored_rows
from strop.pipeline.mining.selection import Round, Selected, select
from strop.pipeline.mining.verdicts import verdict_counts, with_verdicts
from strop.pipeline.progress import Progress
from strop.tasks.chosen_rows import chosen_rows
from strop.tasks.documents import document_map, judged_passages
from strop.tasks.mining_inputs import MiningInputs, asks_for_probabilities
from strop.tasks.round_pool import query_plan, windows_of_round
from strop.tasks.stage import Place, carry_out, stage_task

Optional = ArtifactRef | None


@stage_task("compare selections")
def compare_selections(place: Place, before: ArtifactRef, after: ArtifactRef) -> Any:
    """Which rows another choice of negatives moves."""
    recipe = Recipe("changes", "compare selections", 1, {}, {"before": before, "after": after})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        store = place.open()
        found = selection_changes(store.table(before, "selection"), store.table(after, "selection"))
        attempt.write_table("changes", found.moved)
        return {
            "moved": found.moved.num_rows,
            "kept_negatives": found.kept_negatives,
            "before": found.before,
            "after": found.after,
        }

    return carry_out(place, recipe, compute)


@stage_task("select")
def select_candidates(
    place: Place, inputs: MiningInputs, config: Config, number: int, size: GroupSize
) -> Any:
    """Decide on every row of the window; costs no forward pass."""
    mining = config.mining
    plan = query_plan(place.open(), inputs.pool.dataset, config)
    parameters = {
        **mining.model_dump(mode="json", exclude={"verdicts"}),  # they are an input
        **plan.parameters(number),
        **size.parameters(),
        "round": number,
        "rounds": config.rounds,
        "seed": config.seed,
        "temperature": config.training.temperature,
        # A model scores the whole window, so that losses change nothing there.
        **({"taught": True} if config.taught and mining.teacher == GIVEN else {}),
        # A positive by verdict that only another pool found once left the guard without scores.
        **({"spread": "known scores"} if inputs.verdicts and mining.more_pools else {}),
        # Dev's scores once had a scale of their own, whatever that of the scores that mine.
        **({"calibrated": "as mined"} if inputs.scores and asks_for_probabilities(mining) else {}),
        # Positives of other queries once were drawn that nearly repeat one of the query's own.
        **({"in_batch": "no near duplicates"} if draws_apart(mining) else {}),
    }
    recipe = Recipe("selection", "select", 3, parameters, inputs.refs(mining))

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        store = place.open()
        weight = fusion_weight(place, inputs.ranking) if inputs.scores else 0.0
        rows = _rows(store, inputs, config, number)
        this = Round(
            number=number,
            rounds=config.rounds,
            seed=config.seed,
            temperature=config.training.temperature,
            weight=weight,
            group_size=size.mean,
            taught=config.taught is not None,
            draw=1 if mining.miner == "first_round" else number,
        )
        selected, said = _select(store, inputs, rows, mining, this), dict[str, Any]()
        if inputs.verdicts:
            selected, said = _with_verdicts(store, inputs, rows, mining, this, selected)
        attempt.write_table("selection", selected.table)
        attempt.write_table("group_sizes", selected.group_sizes)
        counts = derived.mining_summary(selected.table, selected.group_sizes)
        weighed = {"fusion_weight": weight} if weight else {}
        return {**selected.summary, **weighed, **said, **counts}

    return carry_out(place, recipe, compute)


def _select(
    store: Store, inputs: MiningInputs, rows: pa.Table, config: Mining, this: Round
) -> Selected:
    keys = each(rows["passage_id"], partial(text_keys, _corpus(store, inputs)))
    documents = document_map(store, inputs.pool.dataset)
    codes = documents.codes(rows["passage_id"].cast(pa.string())) if documents else None
    calibrations = _calibrations(store, inputs, rows, config, this)
    this = dataclasses.replace(this, calibrations=calibrations)
    words = _words(store, inputs, rows, config)
    overlap = None if words is None else _overlap(words, rows)
    return select(rows, keys, overlap, config, this, documents=codes, words=words)


def _with_verdicts(
    store: Store,
    inputs: MiningInputs,
    rows: pa.Table,
    config: Mining,
    this: Round,
    unreviewed: Selected,
) -> tuple[Selected, dict[str, Any]]:
    """The selection with verdicts as labels, and how many rows they decided and changed.

    Changed are all rows whose decision or rule differs from the selection without: a suspect that
    became a positive may move the margin of its query, and so others.
    """
    assert inputs.verdicts is not None
    verdicts = store.table(inputs.verdicts, "verdicts")
    rows = plain(rows, [*KEYS, "pool"])  # joins take no dictionaries
    reviewed = with_verdicts(rows, verdicts, judged_passages(store, inputs.pool.dataset))
    selected = _select(store, inputs, reviewed, config, this)
    moved = selection_changes(unreviewed.table, selected.table).moved.num_rows
    return selected, {"verdicts": verdict_counts(reviewed), "changed_by_verdicts": moved}


def _rows(store: Store, inputs: MiningInputs, config: Config, number: int) -> pa.Table:
    """The rows to decide on, with the scores of all models."""

    def scores(refs: Sequence[ArtifactRef]) -> pa.Table:
        found = [store.table(ref, "scores", encoded=KEYS) for ref in refs]
        return pa.concat_tables(found).unify_dictionaries()

    by_name = {
        "reranker_score": inputs.scores,
        "teacher_score": (inputs.teacher_scores,) if inputs.teacher_scores else (),
        "earlier_score": inputs.earlier_scores,
    }
    scored = {name: scores(refs) for name, refs in by_name.items() if refs}

    def rows(window: pa.Table, positives: pa.Table, judged: pa.Table, *found: pa.Table) -> pa.Table:
        made = selection_rows(window, positives, judged, dict(zip(scored, found, strict=True)))
        return compact(made, [*KEYS, "pool"])

    judged = judged_passages(store, inputs.pool.dataset).select([*KEYS, "grade"])
    more = [store.table(inputs.pool.candidates, "positives"), judged, *scored.values()]
    blocks = windows_of_round(store, inputs.pool, config, number, more, rows)
    return pa.concat_tables(blocks).unify_dictionaries().combine_chunks()


def _calibrations(
    store: Store, inputs: MiningInputs, rows: pa.Table, config: Mining, this: Round
) -> dict[str, Calibration]:
    if not asks_for_probabilities(config):
        return {}
    ranking, qrels = (
        store.table(inputs.ranking, "ranking"),
        store.table(inputs.pool.dataset, "qrels"),
    )
    scale = scored_rows(rows, config, this, None).score.scale
    return dev_calibrations(ranking, qrels, weight=this.weight, scale=scale)


def _words(store: Store, inputs: MiningInputs, rows: pa.Table, config: Mining) -> WordSets | None:
    """The words of every row's passage; None where nobody asks."""
    if config.guard.near_duplicate is None:
        return None
    ids = encoded(rows["passage_id"])
    words = word_sets(_corpus(store, inputs), ids.dictionary)
    return dataclasses.replace(words, rows=words.rows[indices(ids)])


def _overlap(words: WordSets, rows: pa.Table) -> Any:
    """The largest share of words in common with a positive."""
    codes = rows["query_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    return largest_overlap(words, codes.astype("int64"), rows["positive"].to_numpy())


def _corpus(store: Store, inputs: MiningInputs) -> Any:
    return tables.iterate_batches(store.file(inputs.pool.dataset, "corpus.parquet"))


def fusion_weight(place: Place, ranking: ArtifactRef) -> float:
    """The fusion weight that dev chose for a ranking's reranker."""
    path = place.open().file(ranking, "fusion.json")
    return float(json.loads(path.read_bytes())["weight"])


@stage_task("list negatives")
def list_negatives(place: Place, dataset: ArtifactRef, selection: ArtifactRef) -> Any:
    """One row a query: its positives and its negatives, the hardest first."""
    inputs = {"dataset": dataset, "selection": selection}
    recipe = Recipe("negatives", "list negatives", 2, {}, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        store = place.open()
        table = derived.negatives(
            chosen_rows(store, selection, columns=derived.READ_BY_NEGATIVES),
            store.table(selection, "group_sizes"),
            store.table(dataset, "queries", columns=["query_id", "weight"]),
        )
        attempt.write_table("negatives", table)
        return _negatives_summary(table)

    return carry_out(place, recipe, compute)


@stage_task("leave out fold")
def leave_out_fold(
    place: Place, dataset: ArtifactRef, negatives: ArtifactRef, config: Config, fold: int
) -> Any:
    """The negatives of all queries but one fold's: what its miner is trained on."""
    inputs = {"dataset": dataset, "negatives": negatives}
    parameters = {"fold": fold, "folds": config.mining.folds, "seed": config.seed}
    recipe = Recipe("negatives", "leave out fold", 1, parameters, inputs)

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        store = place.open()
        plan = query_plan(store, dataset, config)
        table = without(store.table(negatives, "negatives"), plan.fold(fold))
        attempt.write_table("negatives", table)
        return _negatives_summary(table)

    return carry_out(place, recipe, compute)


def _negatives_summary(table: pa.Table) -> dict[str, Any]:
    return {"queries": table.num_rows, "pairs": int(table["group_size"].to_numpy().sum())}


@stage_task("list suspects")
def list_suspects(place: Place, selection: ArtifactRef) -> Any:
    """The candidates that are probably unlabelled positives."""
    recipe = Recipe("suspects", "list suspects", 2, {}, {"selection": selection})

    def compute(attempt: Attempt, progress: Progress) -> dict[str, Any]:
        table = derived.suspects(
            chosen_rows(place.open(), selection, columns=derived.READ_BY_SUSPECTS)
        )
        attempt.write_table("suspects", table)
        return {"suspects": table.num_rows}

    return carry_out(place, recipe, compute)
