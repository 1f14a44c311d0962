import json

import pytest


@pytest.fixture(scope="module")
def compared(server, materials, tmp_path_factory):
    from tests.end_to_end.conftest import Project

    folder = tmp_path_factory.mktemp("compared")
    for name in ("encoder", "data"):
        (folder / name).symlink_to(materials / name)
    project = Project(folder, server)
    project.config(mining={"queries_per_round": 12})
    arms = ("--preset", "no-remine", "--arm", "top: mining.sampler=top mining.group_size=3")
    done = project.strop("experiment", "strop.yaml", *arms, "--seeds", 2, "--pairs", 48, "--json")
    assert done.returncode == 0, done.stderr
    return project, done


def test_arms_train_the_same_pairs_and_are_held_against_the_control(compared):
    _, done = compared
    found = json.loads(done.stdout)
    last = [row for row in found["arms"] if row["round"] == 2]
    # A round ends with the last whole group that its 24 pairs hold.
    assert all(48 - 2 * 4 < row["trained_pairs"] <= 48 for row in last)
    assert {(row["arm"], row["seed"]) for row in last} == {
        (preset, seed) for preset in ("no-remine", "top") for seed in (3, 4)
    }
    changes = {
        row["arm"]: row["difference"] for row in found["differences"] if row["ranking"] == "fused"
    }
    assert changes["no-remine"] is None
    assert changes["top"] is not None


def test_what_arms_share_is_made_once(compared):
    project, _ = compared
    kinds = [manifest["kind"] for manifest in project.manifests().values()]
    assert kinds.count("embeddings") == kinds.count("dataset") == kinds.count("candidates") == 1
    assert kinds.count("comparison") == 1


@pytest.mark.slow
def test_rerankers_from_outside_are_held_against_the_arms_on_dev_alone(compared, tmp_path):
    project, _ = compared
    before = {ref for ref, one in project.manifests().items() if one["kind"] == "metrics"}
    for seed in (3, 4):
        parts = project.store / "runs" / f"tiny.top.seed-{seed}" / "parts" / "round-002.json"
        made = json.loads(parts.read_text())["reranker"]["id"]
        folder = next(
            path.parent for path in project.store.glob(f"objects/reranker/{made}/*/config.json")
        )
        (tmp_path / f"seed-{seed}").symlink_to(folder)
    arms = ("--preset", "no-remine", "--outside", f"by-them: {tmp_path}/seed-{{seed}}")
    options = ("--seeds", 2, "--pairs", 48, "--split", "dev", "--opponent", "by-them", "--json")
    done = project.strop("experiment", "strop.yaml", *arms, *options)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["split"] for row in found["arms"]} == {"dev"}
    names = [row["arm"] for row in found["differences"] if row["ranking"] == "reranker"]
    assert names == ["no-remine", "by-them"], "a base with a fresh head is the first stage"
    assert {row["opponent"] for row in found["differences"]} == {"by-them"}
    ours = [row for row in found["arms"] if row["arm"] == "by-them"]
    assert {row["trained_pairs"] for row in ours} == {None}
    after = project.manifests()
    new = [one for ref, one in after.items() if one["kind"] == "metrics" and ref not in before]
    assert {one["parameters"]["split"] for one in new} <= {"dev"}, "test is left alone"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--outside", "theirs"), "--outside 'theirs': expected NAME: FOLDER"),
        (("--outside", "static: x"), "--outside 'static': is the name of an arm"),
        (("--opponent", "nobody"), "--opponent 'nobody': expected one of no-remine, static"),
        (("--outside", "theirs: nowhere"), "'nowhere'"),
    ],
)
def test_outside_rerankers_that_cannot_be_are_refused(compared, options, message):
    project, _ = compared
    arms = ("--preset", "no-remine", "--preset", "static", "--pairs", 48, "--seeds", 1)
    done = project.strop("experiment", "strop.yaml", *arms, *options)
    assert done.returncode == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert "train ·" not in done.stdout, "before hours of training, not after"


def test_without_mining_again_the_negatives_stay(compared):
    project, _ = compared
    runs = project.store / "runs" / "tiny.no-remine.seed-3" / "parts"
    first, second = (
        json.loads((runs / f"round-00{number}.json").read_text())["negatives"]["id"]
        for number in (1, 2)
    )
    negatives = [
        project.json("artifacts", "show", artifact)["files"]["negatives.parquet"]["sha256"]
        for artifact in (first, second)
    ]
    assert negatives[0] == negatives[1]


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("no colon", "expected NAME: KEY=VALUE"),
        ("a: mining.sampler", "expected KEY=VALUE"),
        ("a: mining.nothing.at=1", "there is no key mining.nothing.at"),
        ("a: mining.sampler=best", "mining.sampler = 'best'"),
        ("a: seed=7", "seed is what --seeds sets"),
        ("again: mining.sampler=top", "again: is the name of two arms"),
        ("a: reranker.base=./none", "reranker.base = './none': no such folder"),
    ],
)
def test_arms_that_cannot_be_are_refused(compared, arm, message):
    project, _ = compared
    twice = ("--arm", arm) if arm.startswith("again") else ()
    done = project.strop("experiment", "strop.yaml", "--arm", arm, *twice)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert message in done.stderr
    assert done.stdout == "", "no server is started for that"


def test_fewer_pairs_than_the_rounds_need_are_refused(compared):
    project, _ = compared
    done = project.strop("experiment", "strop.yaml", "--pairs", 5)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("error: --pairs 5: gives each of 2 rounds 2")


def test_a_round_is_mined_again_without_scoring(compared):
    project, _ = compared
    before = {m["kind"] for m in project.manifests().values()}
    scores = [m for m in project.manifests().values() if m["kind"] == "scores"]
    found = project.json("mine", "tiny.top.seed-3", "--round", 2, "--margin", "50")
    assert found["after"]["positive: judged"] == found["before"]["positive: judged"]
    suspects = {key: n for key, n in found["after"].items() if key.startswith("suspect")}
    assert sum(suspects.values()) > sum(
        n for key, n in found["before"].items() if key.startswith("suspect")
    )
    after = project.manifests().values()
    assert [m for m in after if m["kind"] == "scores"] == scores
    assert "changes" not in before
    exported = project.strop("export", "negatives", found["negatives"], "--format", "flagembedding")
    assert exported.returncode == 0, exported.stderr
    chosen = sum(n for key, n in found["after"].items() if key.startswith("negative"))
    lines = map(json.loads, exported.stdout.splitlines())
    assert sum(len(line["neg"]) for line in lines) == chosen > 0
    assert project.strop("mine", "nobody", "--round", 1).returncode == 2


def test_a_margin_that_the_round_does_not_read_is_told(compared):
    project, _ = compared
    done = project.strop("mine", "tiny.top.seed-3", "--round", 1, "--margin", "50")
    assert done.returncode == 0, done.stderr
    assert "0 rows move" in done.stdout
    assert "--set guard.first_stage_margin=VALUE" in " ".join(done.stdout.split())
