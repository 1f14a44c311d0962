"""A run that calibrates: dev before test, in the report, and out in the exported folder."""

import json
import re

import numpy as np
import pytest

from strop.artifacts import refs
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from tests.end_to_end.conftest import Project
from tests.end_to_end.test_bad_input import refused
from tests.end_to_end.test_run import stage_lines
from tests.world import tiny_beir

CALIBRATED = {"rounds": 1, "evaluation": {"calibration": "platt"}}


@pytest.fixture(scope="module")
def calibrated(server, materials, tmp_path_factory):
    """A finished run of one round with enough dev queries; tests only look at it."""
    folder = tmp_path_factory.mktemp("calibrated")
    (folder / "encoder").symlink_to(materials / "encoder")
    tiny_beir(folder / "data", seed=1, dev=80)
    project = Project(folder, server)
    done = project.strop("run", project.config(**CALIBRATED))
    assert done.returncode == 0, done.stderr
    return project, done


def test_it_is_fitted_before_test_is_read_and_measured_on_both(calibrated):
    project, done = calibrated
    lines = stage_lines(done.stdout)
    fitted = next(i for i, line in enumerate(lines) if line.startswith("✓ calibrate · assess"))
    assert fitted < next(i for i, line in enumerate(lines) if "split test" in line)
    store = Store(project.store)
    parts = Run(store, "tiny").parts()
    made = parts["assess"]
    inputs = store.manifest(made["calibration"]).inputs
    assert inputs["reranker"] == parts["round-001"]["reranker"]
    assert inputs["ranking"] == parts["round-001"]["ranking_dev"]
    for role, split in (("calibration", "dev"), ("calibration_test", "test")):
        rows = store.table(made[role], "measures").to_pylist()
        assert [(row["split"], row["calibration"]) for row in rows] == [
            (split, "none"),
            (split, "platt"),
        ]
        assert rows[1]["ece"] < rows[0]["ece"]
    report = store.file(made["report"], "report.md").read_text(encoding="utf-8")
    assert "## Calibration" in report
    assert len(re.findall(r"\| (?:dev|test) \| Platt scaling \|", report)) == 2


def test_an_exported_champion_gives_the_same_probabilities_by_its_model_card(calibrated, tmp_path):
    from sentence_transformers import CrossEncoder

    from strop.pipeline.evaluation.calibrators import from_values

    project, _ = calibrated
    store = Store(project.store)
    part = Run(store, "tiny").parts()["round-001"]
    value = {
        "name": "round 1 of tiny", "run": "tiny", "round": 1, "ranking": "fused", "weight": 0.5,
        "reranker": vars(part["reranker"]), "decision": part["decision"].id,
    }  # fmt: skip
    refs.move(store, refs.read(store, "crowned"), value)
    folder = tmp_path / "production"
    told = project.json("champion", "export", folder, "crowned")
    assert told["calibration"] == "platt"

    card = (folder / "README.md").read_text(encoding="utf-8")
    usage = card.split("## Calibration")[1].split("```python\n")[1].split("```")[0]
    known: dict[str, object] = {}
    exec(usage.replace("PATH", str(folder)), known)
    logits = CrossEncoder(str(folder)).predict([("a query", "a passage")])
    values = json.loads((folder / "calibration.json").read_text(encoding="utf-8"))
    expected = from_values(values).probabilities(logits.astype(float))
    assert np.asarray(known["probabilities"]) == pytest.approx(expected, abs=1e-6)
    assert values["formula"] in card
    assert values["dev"][1]["num_positives"] >= 20


def test_a_dev_that_is_too_small_is_refused_before_anything_is_encoded(project):
    done = project.strop("run", project.config(evaluation={"calibration": "isotonic"}))
    refused(done, "evaluation.calibration = 'isotonic'", "positives in", "expected at least 20")
    assert {item["kind"] for item in project.manifests().values()} == {"dataset"}
    assert not (project.store / "runs" / "tiny" / "config.json").exists()
