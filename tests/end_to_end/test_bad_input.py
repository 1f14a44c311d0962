"""Bad input: one clear line, exit code 2, nothing half-written."""

import json
import shutil
import socket

import pytest
import yaml

from tests.end_to_end.conftest import free_port
from tests.world import tiny_model


def refused(done, *words):
    assert done.returncode == 2, done.stdout + done.stderr
    lines = done.stderr.splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    for word in words:
        assert word in lines[0], lines[0]
    assert "Traceback" not in done.stdout


@pytest.fixture
def broken(project):
    """A project with a copy of the data to break."""
    (project.folder / "data").unlink()
    shutil.copytree(project.environment["MATERIALS"], project.folder / "data")
    return project


@pytest.fixture(autouse=True)
def _materials(server, materials):
    server["MATERIALS"] = str(materials / "data")


def no_artifacts(project):
    return not list(project.folder.glob(".strop/objects/dataset/*/manifest.json"))


def test_a_config_typo_names_key_and_line(project):
    path = project.folder / project.config()
    path.write_text(path.read_text().replace("group_size:", "groupsize:"))
    number = next(
        i for i, line in enumerate(path.read_text().splitlines(), 1) if "groupsize" in line
    )
    refused(
        project.strop("run", path), f"strop.yaml line {number}", "mining.groupsize", "group_size"
    )
    assert not project.store.exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rounds": "three"}, ("rounds = 'three'", "expected a whole number")),
        ({"rounds": 0}, ("rounds = 0", "greater than or equal to 1")),
        ({"mining": {"pool_size": 500}}, ("mining.pool_size = 500", "mining.window_size = 12")),
        ({"evaluation": {"metrics": ["nDGC@10"]}}, ("nDGC@10",)),
        ({"evaluation": {"calibration": "sigmoid"}}, ("evaluation.calibration", "'platt'")),
    ],
)
def test_wrong_values_are_refused_before_anything_runs(project, changes, words):
    refused(project.strop("run", project.config(**changes)), "strop.yaml", *words)
    assert not project.store.exists()


def test_what_the_base_cannot_be_trained_with_is_refused_before_any_work(project):
    training = {"lora": {"target_modules": ["q_proj"]}}
    done = project.strop("run", project.config(training=training))
    refused(done, "training.lora.target_modules", "'q_proj'")
    assert no_artifacts(project)


def test_a_config_that_is_not_there(project):
    refused(project.strop("run", "absent.yaml"), "absent.yaml", "strop init")


def test_a_missing_corpus(broken):
    (broken.folder / "data" / "corpus.jsonl").unlink()
    done = broken.strop("run", broken.config())
    refused(done, "corpus.jsonl", "missing")
    assert done.stdout == "", "no server is started for that"
    assert not broken.store.exists()


def test_an_empty_corpus(broken):
    (broken.folder / "data" / "corpus.jsonl").write_text("")
    refused(broken.strop("run", broken.config()), "corpus.jsonl", "no passages")
    assert no_artifacts(broken)


def test_qrels_with_an_unknown_passage(broken):
    path = broken.folder / "data" / "qrels" / "test.tsv"
    query = path.read_text().splitlines()[1].split("\t")[0]
    path.write_text(path.read_text() + f"{query}\tD77\t1\n")
    number = len(path.read_text().splitlines())
    done = broken.strop("import", "beir", "data")
    refused(done, f"test.tsv line {number}", "'D77' is not in the corpus", "passages)")
    assert no_artifacts(broken)


def test_a_split_without_a_positive(broken):
    path = broken.folder / "data" / "qrels" / "test.tsv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    done = broken.strop("import", "beir", "data")
    refused(done, "test.tsv", "no judgement has a grade above 0", "remove the file")
    assert no_artifacts(broken)


def test_a_reranker_whose_scores_are_not_numbers(project):
    import torch
    from safetensors.torch import load_file, save_file

    base = tiny_model(project.folder / "broken", one_logit=True)
    weights = load_file(base / "model.safetensors")
    weights["classifier.bias"] = torch.full_like(weights["classifier.bias"], float("nan"))
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    done = project.strop("run", project.config(reranker={"base": str(base)}))
    refused(done, "80 of 80 scores that the model gave in fp32 are no finite numbers", "diverged")


def test_duplicate_ids(broken):
    path = broken.folder / "data" / "corpus.jsonl"
    path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")
    refused(broken.strop("import", "beir", "data"), "corpus.jsonl line", "was used before")


def test_check_reports_and_writes_nothing(broken):
    done = broken.strop("import", "beir", "data", "--check")
    assert done.returncode == 0
    assert "no problems" in done.stdout
    (broken.folder / "data" / "corpus.jsonl").write_text("{}\n")
    done = broken.strop("import", "beir", "data", "--check")
    assert done.returncode == 2
    assert all(line.startswith("error: ") for line in done.stderr.splitlines())
    assert not broken.store.exists()


def test_an_imported_data_set_can_be_named_by_its_id(project):
    found = project.json("import", "beir", "data")
    assert found["train_queries"] > 0
    config = project.config(dataset=found["dataset"], rounds=1)
    assert project.strop("round", config, "--round", 1).returncode == 0


def test_a_folder_that_is_no_model(project):
    (project.folder / "empty").mkdir()
    config = project.config(reranker={"base": str(project.folder / "empty")})
    refused(project.strop("run", config), "empty", "no config.json")


def test_a_cluster_that_is_not_there_leaves_no_store(project):
    address = f"127.0.0.1:{free_port()}"
    config = project.config(execution={"runner": "ray", "address": address})
    refused(project.strop("run", config), f"execution.address = {address}: no cluster answers")
    assert not project.store.exists()


def test_averaging_with_a_fresh_head_is_refused_before_anything_is_encoded(project):
    done = project.strop("run", project.config(training={"start": "average"}))
    refused(done, "training.start = 'average'", "gets a fresh head", "last_round or base")
    assert not list(project.folder.glob(".strop/objects/embeddings/*/manifest.json"))


@pytest.mark.slow
def test_what_is_refused_leaves_the_run_to_the_mended_config(project):
    """Whether it is seen at the start, or only in what the first stage has found."""
    few = {"gate_share": 0.0, "rounds": 1, "evaluation": {"depth": 1, "calibration": "platt"}}
    refused(project.strop("run", project.config(**few)), "4 positives among 1 candidates")
    (project.folder / "other.run").write_text("train-1 Q0 D77 11 0 x\n")
    pool = {"more_pools": [{"source": str(project.folder / "other.run"), "size": 6}]}
    encoder = str(project.folder / "encoder")
    for mining, words in (
        (pool, ("other.run line 1", "'D77'")),
        ({"teacher": encoder}, (f"mining.teacher = {encoder!r}", "no trained head")),
    ):
        refused(project.strop("run", project.config(rounds=1, mining=mining)), *words)
    kinds = {manifest["kind"] for manifest in project.manifests().values()}
    assert "candidates" in kinds, "the first of them had retrieved"
    done = project.strop("run", project.config(rounds=1))
    assert done.returncode == 0, done.stderr


def test_round_three_without_round_two(project):
    done = project.strop("round", project.config(rounds=3), "--round", "3")
    refused(done, "round 1 does not exist", "run it first")


def test_a_round_past_the_config_is_refused(project):
    done = project.strop("round", project.config(), "--round", "7")
    refused(done, "round 7", "rounds = 2", "expected a number (--round) from 1 to 2")


def test_a_store_that_is_a_file(project):
    (project.folder / "file").write_text("")
    refused(project.strop("run", project.config(), "--store", "file"), "file", "expected a folder")


def test_a_store_in_a_folder_with_other_files(project):
    refused(project.strop("run", project.config(), "--store", "."), "other files")


def test_a_busy_port(project, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        done = project.strop(
            "run", project.config(), STROP_STATE=str(tmp_path / "st"), STROP_SERVER_PORT=port
        )
    refused(done, f"port {port}", "STROP_SERVER_PORT")


def test_init_writes_a_config_that_is_valid_and_never_overwrites(project):
    assert project.strop("init", "new.yaml").returncode == 0
    text = (project.folder / "new.yaml").read_text()
    from strop.pipeline.config import Config

    assert Config.model_validate(yaml.safe_load(text)) == Config()
    refused(project.strop("init", "new.yaml"), "exists already")
    assert project.strop("init", "-").stdout == text
    assert not (project.folder / "-").exists()


def test_unknown_artifacts_and_kinds(finished):
    project, _ = finished
    refused(project.strop("artifacts", "show", "ffffff"), "ffffff", "artifacts ls")
    refused(project.strop("artifacts", "ls", "--kind", "negative"), "negative", "negatives")
    rows = json.loads(project.strop("artifacts", "ls", "--json").stdout)
    assert {row["kind"] for row in rows} >= {"dataset", "reranker", "metrics", "decision"}
