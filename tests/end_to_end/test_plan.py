"""`strop plan` on the tiny project: what it says will be done is what a run does."""

from collections import defaultdict
from typing import Any

import pytest
import yaml

from strop.artifacts.runs import Run
from strop.artifacts.store import Store


def of_stage(plan: dict[str, Any], name: str) -> int:
    return sum(stage["units"] for stage in plan["stages"] if stage["stage"] == name)


@pytest.mark.slow
def test_the_planned_work_is_that_of_the_run(finished: Any) -> None:
    project, _ = finished
    before = sorted(project.store.rglob("manifest.json"))
    plan = project.json("plan", "strop.yaml")
    made: dict[str, int] = defaultdict(int)
    report = Run(Store(project.store), "tiny").parts()["assess"]["report"].id
    for manifest in project.made_until(report).values():
        made[manifest["stage"]] += manifest["summary"].get("pairs", 0)
    # Two rounds of half the 40 queries, in groups of 4; guards left fewer negatives.
    assert of_stage(plan, "train") == 2 * 20 * 4 >= made["train"] > 0
    assert of_stage(plan, "rerank") == made["rerank"]
    assert of_stage(plan, "score") == pytest.approx(made["score"], rel=0.1)
    encoded = next(m for m in project.manifests().values() if m["stage"] == "encode")["summary"]
    assert of_stage(plan, "tokenize") == encoded["passages"] + encoded["queries"]
    assert plan["unit_costs"]["fresh_head"]
    assert min(stage["seconds"] for stage in plan["stages"]) > 0
    assert plan["seconds"] == pytest.approx(sum(stage["seconds"] for stage in plan["stages"]))
    assert sorted(project.store.rglob("manifest.json")) == before
    shown = project.strop("plan", "strop.yaml", "--devices", "4")
    assert shown.returncode == 0, shown.stderr
    assert "Kept from before, on cpu" in shown.stdout, "measured once"
    assert "train · round 2" in shown.stdout
    spread = project.config("spread.yaml", execution={"runner": "ray", "workers": 3})
    shown = project.strop("plan", spread)
    assert "Kept from before, on cpu" in shown.stdout, "workers change no unit cost"
    assert "start workers · prepare" in shown.stdout
    assert "in each of 3 workers" in shown.stdout


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--devices", "0"], "--devices 0: expected 1 to training.groups_per_step = 4"),
        (["--devices", "5"], "--devices 5: expected 1 to training.groups_per_step = 4"),
        (["--store", "nowhere"], "dataset = '0123456789abcdef': is an id, and there is no store"),
    ],
)
def test_bad_input_is_refused_in_one_line(project: Any, options: list[str], line: str) -> None:
    file = project.config(dataset="0123456789abcdef")
    done = project.strop("plan", file, *options)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: {line}")
    assert done.stderr.count("\n") == 1
    assert not (project.folder / "nowhere").exists()
    assert not project.store.exists()


def test_data_that_a_run_would_refuse_are_refused(project: Any) -> None:
    file = project.config(dataset=str(project.folder / "missing"))
    done = project.strop("plan", file)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "missing" in done.stderr


def test_a_plan_without_a_bi_encoder_tells_no_rate_of_one(project: Any) -> None:
    done = project.strop("plan", project.config(first_stage={"ranking": "bm25"}))
    assert done.returncode == 0, done.stderr
    assert "tokens a second score " in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(("epochs", "stage"), [(100, "train"), (1, None)])
def test_the_stage_that_dominates_is_told(project: Any, epochs: int, stage: str | None) -> None:
    """In CPU seconds, as the plan says for a machine with nothing else to do."""
    file = project.config(rounds=1, training={"epochs": epochs})
    plan = project.json("plan", file)
    profile = project.folder / "profile"
    done = project.strop("run", file, "--profile", profile)
    assert done.returncode == 0, done.stderr
    took: dict[str, float] = defaultdict(float)
    for cost in yaml.safe_load((profile / "breakdown.json").read_text()):
        took[cost["stage"].split(" · ")[0]] += cost["cpu_seconds"]
    took["load and initialise"] = took.pop("initialise")
    names = {entry["stage"] for entry in plan["stages"]} & took.keys()
    longest = max(names, key=lambda name: took[name])
    assert plan["dominant"]["stage"] == longest
    assert stage in (None, longest)
