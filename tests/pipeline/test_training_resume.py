"""A training that is killed goes on to the same bits."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from strop.pipeline.config import Config
from strop.pipeline.errors import InputError
from strop.pipeline.scoring.reranker import LoadedReranker, load_reranker
from strop.pipeline.scoring.scorer import PairSource, Scorer
from strop.pipeline.training import checkpoints
from strop.pipeline.training.development import Development
from strop.pipeline.training.train import Surroundings, Trained
from tests.pipeline.conftest import EvaluationTables
from tests.pipeline.training_world import NUM_QUERIES, config, fit, source, weights


class Planted:
    """Touches a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


class Killed(Exception):
    """Stands for a process that ends in the middle."""


class KillingProgress:
    """Ends the training after so many steps; keeps what it was told."""

    def __init__(self, steps: int | None = None) -> None:
        self.steps = steps
        self.advanced: list[int] = []

    def start(self, total: int, unit: str) -> None:
        self.total = total

    def advance(self, count: int) -> None:
        self.advanced.append(count)
        if len(self.advanced) == self.steps:
            raise Killed


def settings(**training: Any) -> Config:
    """9 steps with dropout, each in several micro-batches; a checkpoint after every second one."""
    values = {"epochs": 3, "micro_batch_tokens": 64, "graph_tokens": 300, **training}
    return config(execution={"checkpoint_steps": 2}, **values)


def run(
    folder: Path,
    chosen: Config,
    work: Path | None,
    *,
    kill_after: int | None = None,
    **options: Any,
) -> tuple[Trained, KillingProgress]:
    progress = KillingProgress(kill_after)
    around = Surroundings(checkpoints=work, progress=progress)
    return fit(folder, chosen, surroundings=around, **options), progress


def killed(folder: Path, chosen: Config, work: Path, after: int, **options: Any) -> None:
    with pytest.raises(Killed):
        run(folder, chosen, work, kill_after=after, **options)


def steps_kept(work: Path) -> list[int]:
    return sorted(int(path.parent.name.split("-")[1]) for path in work.glob("*/records.json"))


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("training", [{}, {"gradients": "two_pass"}, {"lora": {"rank": 2}}])
def test_a_killed_training_goes_on_to_the_same_bits(
    reranker_folder: Path, work: Path, training: dict[str, Any]
) -> None:
    chosen = settings(**training)
    undisturbed, told = run(reranker_folder, chosen, None)
    killed(reranker_folder, chosen, work, after=6)
    assert steps_kept(work) == [2, 4], "step 6 was not finished"
    resumed, progress = run(reranker_folder, chosen, work)
    assert weights(resumed) == weights(undisturbed)
    assert resumed.log.equals(undisturbed.log)
    assert len(progress.advanced) == 1 + 5, "the four steps at once, then five more"
    assert sum(progress.advanced) == sum(told.advanced) == progress.total
    assert steps_kept(work) == [6, 8]


def test_a_checkpoint_that_was_cut_short_does_not_count(reranker_folder: Path, work: Path) -> None:
    chosen = settings()
    undisturbed, _ = run(reranker_folder, chosen, None)
    killed(reranker_folder, chosen, work, after=5)
    newest = work / "checkpoint-4" / "optimizer.pt"
    newest.write_bytes(newest.read_bytes()[:-10])
    resumed, progress = run(reranker_folder, chosen, work)
    assert len(progress.advanced) == 1 + 7, "from step 2"
    assert weights(resumed) == weights(undisturbed)
    assert resumed.log.equals(undisturbed.log)


def test_a_checkpoint_without_its_mark_or_of_other_versions_is_removed(
    reranker_folder: Path, work: Path
) -> None:
    killed(reranker_folder, settings(), work, after=5)
    mark = work / "checkpoint-2" / checkpoints.WHOLE
    found = json.loads(mark.read_bytes())
    found["versions"]["torch"] = "1.0"
    mark.write_text(json.dumps(found))
    (work / "checkpoint-4" / checkpoints.WHOLE).unlink()
    assert checkpoints.last_whole(work) is None
    assert steps_kept(work) == []


def test_nothing_in_a_checkpoint_is_read_by_a_pickle_that_runs_code(
    reranker_folder: Path, work: Path, tmp_path: Path
) -> None:
    chosen = settings()
    killed(reranker_folder, chosen, work, after=5)
    assert not list(work.rglob("training_args.bin"))
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        folder = work / "checkpoint-4"
        kept = (folder / name).read_bytes()
        torch.save({"planted": Planted(tmp_path / "ran")}, folder / name)
        checkpoints.finish(folder)
        with pytest.raises(Exception, match=r"[Ww]eights"):
            run(reranker_folder, chosen, work)
        (folder / name).write_bytes(kept)
    assert not (tmp_path / "ran").exists()


def test_without_checkpoint_steps_nothing_is_written(reranker_folder: Path, work: Path) -> None:
    chosen = config(execution={"checkpoint_steps": None}, epochs=2)
    run(reranker_folder, chosen, work)
    assert steps_kept(work) == []


def test_two_trainings_of_one_thing_do_not_share_checkpoints(
    reranker_folder: Path, work: Path
) -> None:
    with checkpoints.held_folder(work) as first, checkpoints.held_folder(work) as second:
        assert (first, second) == (work, None)
        run(reranker_folder, settings(), work)
        assert steps_kept(work) == []


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_training(
    reranker_folder: Path, work: Path
) -> None:
    (work / "checkpoint-2").write_text("in the way")
    trained, _ = run(reranker_folder, settings(), work)
    assert trained.log.num_rows == 9
    assert steps_kept(work) == [6, 8]


def test_a_training_that_diverges_leaves_no_checkpoints(reranker_folder: Path, work: Path) -> None:
    chosen = settings(learning_rate=1.0, max_gradient_norm=1e9, schedule="constant", epochs=30)
    chosen = chosen.model_copy(
        update={"training": chosen.training.model_copy(update={"learning_rate": 1e30})}
    )
    with pytest.raises(InputError, match=r"training diverged in step \d+"):
        run(reranker_folder, chosen, work)
    assert not work.exists()


def development(tables: type[EvaluationTables]) -> Development:
    """Every query's candidates are all passages; its own is relevant."""
    passages = [f"passage{i}" for i in range(NUM_QUERIES)]
    queries = [f"q{i}" for i in range(NUM_QUERIES)]
    candidates = tables.candidates(dict.fromkeys(queries, passages))
    qrels = tables.qrels({f"q{i}": {f"passage{i}": 1} for i in range(NUM_QUERIES)})
    return Development.of(candidates, tables.queries(queries), qrels, depth=10)


MEASURED = {"evaluate_every": 2, "learning_rate": 1e-1, "schedule": "constant"}


def test_the_weights_that_ranked_dev_best_are_kept(
    reranker_folder: Path, tables: type[EvaluationTables]
) -> None:
    chosen, dev = settings(**MEASURED), development(tables)
    trained, _ = run(reranker_folder, chosen, None, development=dev)
    log = trained.dev_log
    assert log is not None
    assert log["step"].to_pylist() == [2, 4, 6, 8, 9]
    values = log["value"].to_pylist()
    best = values.index(max(values))
    assert best < 4, "the example must end worse than it was"
    assert log["kept"].to_pylist() == [place == best for place in range(5)]
    assert dev.measure(trained.reranker, source(), chosen) == pytest.approx(max(values))
    unmeasured, _ = run(reranker_folder, settings(**MEASURED | {"evaluate_every": None}), None)
    assert trained.log.equals(unmeasured.log), "measuring changes nothing"


class Scores:
    """Instead of a metric of dev, all scores that a measured model gives."""

    def __init__(self) -> None:
        self.found: list[Any] = []

    def measure(self, reranker: LoadedReranker, source: PairSource, config: Config) -> float:
        rows = np.arange(NUM_QUERIES)
        self.found.append(Scorer(reranker, source, config.reranker).score_rows(rows, rows))
        return float(len(self.found))


def test_dev_is_measured_in_the_arithmetic_of_scoring_and_not_of_training(
    reranker_folder: Path,
) -> None:
    chosen, scores = settings(**MEASURED, precision="bf16"), Scores()
    trained, _ = run(reranker_folder, chosen, None, development=scores)
    assert len(scores.found) == 5
    scores.measure(trained.reranker, source(), chosen)  # the last weights are the kept ones
    np.testing.assert_array_equal(scores.found[4], scores.found[5])


def test_a_residual_reranker_is_measured_with_what_it_corrects(
    reranker_folder: Path, tables: type[EvaluationTables]
) -> None:
    # The first stage ranks every query's own passage first: with a weight above all logits so does
    # their sum, while the untrained reranker alone does not.
    passages = [f"passage{i}" for i in range(NUM_QUERIES)]
    own_first = {f"q{i}": [passages[i], *passages[:i], *passages[i + 1 :]] for i in range(12)}
    qrels = tables.qrels({f"q{i}": {f"passage{i}": 1} for i in range(NUM_QUERIES)})
    queries = tables.queries(list(own_first))
    dev = Development.of(tables.candidates(own_first), queries, qrels, depth=10)
    loaded = load_reranker(reranker_folder)
    assert dev.measure(loaded, source(), settings()) < 0.9
    assert dev.measure(loaded, source(), settings(residual_weight=1000.0)) == 1.0


def test_patience_ends_the_training_and_resuming_ends_at_the_same_step(
    reranker_folder: Path, work: Path, tables: type[EvaluationTables]
) -> None:
    chosen, dev = settings(patience=1, **MEASURED), development(tables)
    undisturbed, _ = run(reranker_folder, chosen, None, development=dev)
    assert undisturbed.log.num_rows < 9
    assert undisturbed.dev_log is not None
    values = undisturbed.dev_log["value"].to_pylist()
    assert len(values) == undisturbed.log.num_rows / 2
    assert values[-1] <= values[-2]
    after = undisturbed.log.num_rows
    killed(reranker_folder, chosen, work, after=after, development=dev)
    resumed, _ = run(reranker_folder, chosen, work, development=dev)
    assert weights(resumed) == weights(undisturbed)
    assert resumed.log.equals(undisturbed.log)
    assert undisturbed.dev_log.equals(resumed.dev_log)
    assert max(steps_kept(work)) < after
    shutil.rmtree(work)
