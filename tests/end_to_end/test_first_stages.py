"""Runs that retrieve by words and vectors together, and mine other pools beside."""

import json

import pytest

from tests.end_to_end.test_run import stage_lines

RUN = "mine.run"


def pools(*sources):
    return [{"source": source, "size": 6} for source in sources]


def candidates_by_stage(project):
    kinds = [m for m in project.manifests().values() if m["kind"] == "candidates"]
    return sorted((m["stage"], m["parameters"]["depth"]) for m in kinds)


def refused(done, *words):
    assert done.returncode == 2, done.stdout + done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.fixture
def with_run_file(project):
    """A project with a run of its own: for every train query the passages p0 to p9."""
    lines = [f"train-{q} Q0 p{p} {p + 1} {10 - p} mine\n" for q in range(40) for p in range(10)]
    (project.folder / RUN).write_text("".join(lines))
    return project


@pytest.mark.slow
def test_a_fused_first_stage_with_more_pools_makes_each_part_once(with_run_file):
    project = with_run_file
    encoder = {"model": str(project.folder / "encoder"), "max_tokens": 16}
    config = project.config(
        rounds=1,
        first_stage={"ranking": "fused", "more_encoders": {"short": encoder}},
        mining={"more_pools": pools("bm25", "dense", "short", str(project.folder / RUN))},
    )
    done = project.strop("run", config)
    assert done.returncode == 0, done.stderr
    stages = [line[2:].split("  ")[0] for line in stage_lines(done.stdout)]
    for stage in ("encode · prepare", "index words · prepare", "encode · prepare · short"):
        assert stages.count(stage) == 1
    assert candidates_by_stage(project) == [
        ("fuse", 20),
        ("read run file", 6),
        ("retrieve", 6),
        ("retrieve", 6),
        ("retrieve", 20),
        ("retrieve bm25", 6),
        ("retrieve bm25", 20),
    ]
    prepared = json.loads((project.store / "runs/tiny/parts/prepare.json").read_text())
    assert {"pool_1", "pool_2", "pool_3", "pool_4"} <= set(prepared)
    again = project.strop("run", config)
    assert {line[0] for line in stage_lines(again.stdout)} == {"="}


@pytest.mark.slow
def test_bm25_alone_encodes_nothing(project):
    done = project.strop("run", project.config(rounds=1, first_stage={"ranking": "bm25"}))
    assert done.returncode == 0, done.stderr
    assert candidates_by_stage(project) == [("retrieve bm25", 20)]
    assert {m["kind"] for m in project.manifests().values()}.isdisjoint({"embeddings"})


def test_a_pool_from_nowhere_is_refused_before_any_work(project):
    config = project.config(mining={"more_pools": pools("bm25", "bm52")})
    refused(project.strop("run", config), "mining.more_pools[1].source = 'bm52'", "bm25")
    assert not project.manifests()


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"bi_encoder": {"model": "./none"}}, "bi_encoder.model = './none': no such folder"),
        ({"reranker": {"base": "./none"}}, "reranker.base = './none': no such folder"),
    ],
)
def test_a_model_that_is_not_there_is_named_by_its_key(project, values, line):
    done = project.strop("run", project.config(**values))
    refused(done, f"error: {line}\n")
    assert done.stdout == "", "no server is started for that"


def test_a_broken_run_file_is_refused_before_anything_is_encoded(with_run_file):
    project = with_run_file
    path = project.folder / RUN
    path.write_text(f"{path.read_text()}train-1 Q0 D77 11 0 x\n")
    config = project.config(mining={"more_pools": pools(str(path))})
    words = ("mine.run line 401", "passage 'D77'", "not in the data set")
    refused(project.strop("run", config), *words)
    kinds = {manifest["kind"] for manifest in project.manifests().values()}
    assert kinds <= {"dataset", "model", "reranker", "run_file"}
