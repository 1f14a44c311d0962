"""`strop champion` on a store with two promotions, and what it refuses."""

import json

import pytest
from typer.testing import CliRunner

from strop.artifacts import refs
from strop.artifacts.errors import NotFound, StoreError
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.runs import Run
from strop.artifacts.schemas import TRAIN_LOG
from strop.artifacts.store import Store
from strop.cli.champion import champion_app, champion_name

WEIGHTS = b"weights of round "


def commit(store, kind, parameters, summary, **files):
    recipe = Recipe(kind, "test", 1, parameters, {})
    with store.attempt(recipe) as attempt:
        for name, data in files.items():
            (attempt.folder / name.replace("__", ".")).write_bytes(data)
        if kind == "reranker":
            attempt.write_table("train_log", TRAIN_LOG.empty_table())
        return store.commit(attempt, summary=summary).ref


@pytest.fixture
def store(tmp_path):
    """The first stage, then round 1 and round 2 were champions of `tiny`."""
    made = Store(tmp_path / "store")
    for number in (0, 1, 2):
        reason = f"round {number}: because {number}"
        decision = commit(made, "decision", {"n": number}, {"reason": reason}, d=b"%d" % number)
        value = {"run": "tiny", "round": number, "decision": decision.id}
        if number == 0:
            value |= {
                "ranking": "first_stage", "name": "the first stage", "reranker": None, "weight": 0,
            }  # fmt: skip
        else:
            weights = WEIGHTS + str(number).encode()
            model = commit(made, "reranker", {"n": number}, {}, model__safetensors=weights)
            name = f"round {number} of tiny"
            value |= {"ranking": "fused", "name": name, "weight": 0.3, "reranker": vars(model)}
        refs.move(made, refs.read(made, "tiny"), value)
    return made


def told(store, *arguments):
    done = CliRunner().invoke(
        champion_app,
        [*map(str, arguments), "--store", str(store.root), "--json"],
        catch_exceptions=False,
    )
    assert done.exit_code == 0
    return json.loads(done.stdout)


def test_show_says_what_is_used_and_why(store):
    found = told(store, "show")
    assert (found["name"], found["round"], found["weight"]) == ("round 2 of tiny", 2, 0.3)
    assert found["reason"] == "round 2: because 2"
    assert found["model"].startswith(str(store.root / "objects" / "reranker"))


def test_history_has_every_move_with_time_and_reason(store):
    moves = told(store, "history", "tiny")
    assert [move["generation"] for move in moves] == [1, 2, 3]
    assert [move["reason"] for move in moves] == [f"round {n}: because {n}" for n in (0, 1, 2)]
    assert all(move["moved"] for move in moves)


@pytest.mark.parametrize(
    ("note", "told_of_it"), [("read the report", " (read the report)"), ("", "")]
)
def test_an_approved_challenger_awaits_no_more(store, note, told_of_it):
    summary = {"reason": "round 3: better: awaits approval, round 2 stays", "verdict": "awaiting"}
    decision = commit(store, "decision", {"n": 3}, summary, d=b"3")
    now = refs.read(store, "tiny")
    refs.move(store, now, {**now.value, "decision": decision.id, "approved": note})
    found = told(store, "show")
    assert found["reason"] == f"round 3: better: promoted by hand{told_of_it}"
    assert found["note"] == (note or None)


def test_rolling_back_goes_further_back_each_time_and_keeps_the_history(store):
    assert told(store, "rollback")["round"] == 1
    back = told(store, "rollback")
    assert (back["round"], back["model"], back["generation"]) == (0, None, 5)
    with pytest.raises(StoreError, match="champion tiny: is still the first"):
        told(store, "rollback")
    assert told(store, "rollback", "--to", 3)["name"] == "round 2 of tiny"
    rounds = [(move["round"], move["restored"]) for move in told(store, "history")]
    assert rounds == [(0, None), (1, None), (2, None), (1, 2), (0, 1), (2, 3)]
    assert told(store, "show")["reason"] == "rolled back to move 3: round 2: because 2"


@pytest.mark.parametrize(
    ("to", "message"), [(3, "is what move 3 made it already"), (9, "has no move 9")]
)
def test_a_rollback_to_nowhere_is_refused(store, to, message):
    with pytest.raises(StoreError, match=message):
        told(store, "rollback", "--to", to)
    assert len(refs.history(store, "tiny")) == 3


def test_export_makes_a_folder_with_the_model_and_its_fusion_weight(store, tmp_path):
    folder = tmp_path / "production"
    folder.mkdir()
    for weights in store.root.rglob("model.safetensors"):
        weights.chmod(0o600)  # as an earlier strop kept them
    told(store, "export", folder)
    assert sorted(path.name for path in folder.iterdir()) == ["fusion.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == WEIGHTS + b"2"
    assert json.loads((folder / "fusion.json").read_text())["weight"] == 0.3
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1
    with pytest.raises(StoreError, match="is there already"):
        told(store, "export", folder)


def calibrate(store, number, **files):
    """Record a calibration of the champion of this move as the run's."""
    reranker = refs.history(store, "tiny")[number].value["reranker"]
    inputs = {"reranker": ArtifactRef(**reranker)}
    recipe = Recipe("calibration", "test", 1, {"method": "platt"}, inputs)
    with store.attempt(recipe) as attempt:
        for name, text in files.items():
            (attempt.folder / name.replace("__", ".")).write_text(text)
        made = store.commit(attempt, summary={})
    run = Run(store, "tiny")
    with run.lease() as lease:
        run.record(lease, "assess", {"calibration": made.ref})
    return made


def test_the_calibration_of_the_model_goes_out_with_it_and_no_other(store, tmp_path):
    calibrate(store, 1, calibration__json="{}", calibration__md="## Calibration\n")
    assert told(store, "export", tmp_path / "two")["calibration"] is None
    assert not (tmp_path / "two" / "calibration.json").exists()
    told(store, "rollback")
    assert told(store, "export", tmp_path / "one")["calibration"] == "platt"
    assert (tmp_path / "one" / "calibration.json").read_text() == "{}"
    assert (tmp_path / "one" / "README.md").read_text().endswith("## Calibration\n")


def test_a_damaged_calibration_is_not_exported(store, tmp_path):
    made = calibrate(store, 2, calibration__json="{}", calibration__md="## Calibration\n")
    store.file(made, "calibration.json").write_text("{ }")
    with pytest.raises(StoreError, match=r"calibration \w+: calibration\.json is not what"):
        told(store, "export", tmp_path / "production")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_a_damaged_model_is_not_exported(store, tmp_path):
    for path in store.root.glob("objects/reranker/*/*/model.safetensors"):
        path.write_bytes(WEIGHTS + b"9")
    with pytest.raises(StoreError, match=r"model\.safetensors is not what its manifest says"):
        told(store, "export", tmp_path / "production")
    assert [path.name for path in tmp_path.iterdir()] == ["store"]


def test_the_first_stage_cannot_be_exported(store, tmp_path):
    told(store, "rollback", "--to", 1)
    with pytest.raises(StoreError, match="first stage alone"):
        told(store, "export", tmp_path / "production")


def test_a_name_is_needed_only_among_several(store, tmp_path):
    assert champion_name(store, None) == "tiny"
    refs.move(store, refs.read(store, "other"), {"run": "other"})
    with pytest.raises(NotFound, match="several champions; name one of other, tiny"):
        champion_name(store, None)
    with pytest.raises(NotFound, match=r"'absent': not in the store .* champions are other, tiny"):
        champion_name(store, "absent")
    with pytest.raises(NotFound, match="no champion in the store"):
        champion_name(Store(tmp_path / "empty"), None)


def test_a_config_file_and_a_run_name_their_champion(store, tmp_path):
    config = tmp_path / "strop.yaml"
    config.write_text("name: nightly\ndecision: {champion: tiny}\n")
    assert champion_name(store, str(config)) == "tiny"
    folder = store.root / "runs" / "nightly"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text('{"decision": {"champion": "tiny"}}')
    assert champion_name(store, "nightly") == "tiny"


def test_the_first_champion_of_a_fresh_head_has_no_decision_and_no_round(store):
    value = {"run": "new", "round": 0, "decision": None, "ranking": "first_stage"}
    value |= {"name": "the first stage", "reranker": None, "weight": 0}
    refs.move(store, refs.read(store, "new"), value)
    shown = CliRunner().invoke(champion_app, ["show", "new", "--store", str(store.root)])
    assert "run      new, before its rounds\n" in shown.stdout
    assert "decided  the base's head is fresh and not yet trained\n" in shown.stdout
