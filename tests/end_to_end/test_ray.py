"""Stages whose shards are made by the workers of a Ray cluster of this host."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from prefect.settings import PREFECT_API_URL, temporary_settings

from strop.artifacts import durable
from strop.artifacts.manifest import ArtifactRef, Recipe
from strop.artifacts.store import Store
from strop.pipeline.config import Config, Execution, VectorIndex
from strop.pipeline.data.splits import SplitRule
from strop.pipeline.errors import InputError
from strop.pipeline.progress import SILENT
from strop.pipeline.threads import processors
from strop.tasks import cluster as clusters
from strop.tasks import free_disk, searching
from strop.tasks.build_index import build_index
from strop.tasks.cluster_checks import check_host
from strop.tasks.cluster_nodes import problem_of
from strop.tasks.cluster_start import started
from strop.tasks.encode import encode
from strop.tasks.import_data import beir_request, import_request
from strop.tasks.import_model import import_model
from strop.tasks.initialise import initialise
from strop.tasks.node_probe import facts
from strop.tasks.rerank import rerank
from strop.tasks.retrieve import retrieve
from strop.tasks.round_pool import RoundPool
from strop.tasks.score import score
from strop.tasks.shards import Stage, in_shards
from strop.tasks.stage import Place
from strop.tasks.tokenize import tokenize
from tests.dying_work import Doubling
from tests.end_to_end.conftest import STROP, Project, free_port
from tests.world import tiny_beir

pytestmark = pytest.mark.timeout(600)  # cold workers import torch, beside whatever else runs

ON_RAY = Execution(runner="ray", workers=2, threads=1)
INDEX = VectorIndex(type="hnsw")
RECIPE = Recipe("scores", "score", 1, {"for": "tests"}, {})


@pytest.fixture(scope="module")
def ray(server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A cluster with two workers; stages use it inside ``with ray.used(workers):`` alone."""
    done = subprocess.run(
        [*STROP, "ui", "--url"], env=server, check=True, capture_output=True, text=True
    )
    api = f"{done.stdout.strip()}/api"
    store = Store(tmp_path_factory.mktemp("probed"))
    with (
        temporary_settings({PREFECT_API_URL: api}),
        clusters.cluster(ON_RAY, store.location),
    ):
        yield clusters.current()


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_beir(tmp_path_factory.mktemp("ray") / "data", train=520, seed=6)


@pytest.fixture
def workers(ray: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets how many of the cluster's workers get shards; none lets stages do their own work."""

    def use(count: int) -> None:
        used = [replace(ray, workers=count, at_once=count)] if count else []
        monkeypatch.setattr(clusters, "_open", used)

    return use


def config(encoder: Path) -> Config:
    return Config.model_validate(
        {
            "bi_encoder": {"model": str(encoder), "max_tokens": 32, "shard_passages": 16},
            "reranker": {
                "base": str(encoder),
                "max_tokens": 32,
                "max_query_tokens": 12,
                "batch_tokens": 512,
                "shard_pairs": 1024,
            },
            "first_stage": {"depth": 20},
            "mining": {"pool_size": 8, "window_size": 12, "group_size": 4},
            "evaluation": {"depth": 8},
        }
    )


def stages(folder: Path, data: Path, encoder: Path) -> tuple[Store, dict[str, ArtifactRef]]:
    """The refs of all stages that are cut into shards, in a store of their own."""
    place, chosen = Place(str(folder), "tiny", "prepare"), config(encoder)

    def done(stage: Any, *arguments: Any, **options: Any) -> ArtifactRef:
        result = stage.fn(place, *arguments, **options)
        return result if isinstance(result, ArtifactRef) else result.data

    dataset = done(import_request, beir_request(data, SplitRule()))
    model = done(import_model, str(encoder))
    reranker = done(initialise, model, chosen.reranker, 1)
    vectors = done(encode, dataset, model, chosen.bi_encoder)
    index = done(build_index, vectors, INDEX)
    candidates = done(retrieve, dataset, vectors, 20)
    tokens = done(tokenize, dataset, reranker, chosen.reranker)
    pool = RoundPool(dataset, candidates)
    return place.open(), {
        "embeddings": vectors,
        "candidates": candidates,
        "found by an index": done(retrieve, dataset, vectors, 20, index=index, config=INDEX),
        "tokens": tokens,
        "scores": done(score, pool, tokens, reranker, chosen, 1),
        "ranking": done(rerank, dataset, candidates, tokens, reranker, chosen, "dev"),
    }


def test_tables_are_the_same_bytes_whoever_made_their_shards(
    workers: Any,
    data: Path,
    bi_encoder_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(searching, "SHARD_QUERIES", 256)
    made = {}
    for count in (0, 2):
        workers(count)
        made[count] = stages(tmp_path / f"by-{count}", data, bi_encoder_folder)
    store, refs = made[2]
    assert refs == made[0][1]
    assert {name: store.manifest(ref).execution["shards"] for name, ref in refs.items()} == {
        "embeddings": {"made": 9, "found": 0, "repeated": 0},  # 120 passages by 16; queries
        "candidates": {"made": 3, "found": 0, "repeated": 0},  # 560 queries by 256
        "found by an index": {"made": 3, "found": 0, "repeated": 0},
        "tokens": {"made": 2, "found": 0, "repeated": 0},
        "scores": {"made": 5, "found": 0, "repeated": 0},
        "ranking": {"made": 1, "found": 0, "repeated": 0},
    }
    assert not list((tmp_path / "by-2").glob("objects/shard/*/manifest.json"))
    assert "shards" not in made[0][0].manifest(made[0][1]["scores"]).execution


def doubled(store: Store, work: Doubling, pieces: int) -> Iterator[tuple[int, dict[str, int]]]:
    """The first number of every piece doubled, with the counts of shards until then."""
    with store.attempt(RECIPE) as attempt:
        stage = Stage(store, attempt, SILENT)
        rows = ((None, pa.table({"n": [n, n + 1]})) for n in range(0, 2 * pieces, 2))
        for _, made in in_shards(stage, "numbers", rows, work):
            assert made is not None
            yield made["n"][0].as_py(), attempt.execution["shards"]


def test_a_killed_worker_repeats_its_shard_only(workers: Any, tmp_path: Path) -> None:
    workers(2)
    work = Doubling(fatal=6, marker=tmp_path / "died")
    found = list(doubled(Store(tmp_path / "store"), work, 8))
    assert [number for number, _ in found] == list(range(0, 32, 4))
    assert found[-1][1] == {"made": 8, "found": 0, "repeated": 1}


def test_shards_that_are_done_are_found_again(workers: Any, tmp_path: Path) -> None:
    workers(2)
    store, work = Store(tmp_path / "store"), Doubling(fatal=-1, marker=None)
    stopped = doubled(store, work, 8)
    for _ in range(3):
        next(stopped)
    stopped.close()
    *_, (last, shards) = doubled(store, work, 8)
    assert last == 28
    assert shards["found"] >= 3
    assert shards["made"] + shards["found"] == 8


@pytest.mark.slow
def test_a_shard_that_kills_every_worker_ends_in_one_line(workers: Any, tmp_path: Path) -> None:
    workers(1)
    work = Doubling(fatal=2, marker=None)
    with pytest.raises(InputError, match=r"4 workers were killed over the same shard") as caught:
        list(doubled(Store(tmp_path / "store"), work, 3))
    assert "\n" not in str(caught.value)


def lines_of_refusal(project: Project, **execution: Any) -> str:
    """What `strop run` says to values that it refuses before its first stage."""
    done = project.strop("run", project.config(execution=execution))
    assert done.returncode == 2, done.stderr
    assert not list(project.store.glob("objects/*/*/manifest.json"))
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return line


@pytest.mark.slow
def test_a_cluster_of_this_host_has_the_workers_of_its_share(tmp_path: Path) -> None:
    if processors() < 2:
        pytest.skip("needs two processors")
    code = (
        "from strop.pipeline.config import Execution; "
        "from strop.tasks.cluster_start import started\n"
        f"with started(Execution(runner='ray'), {str(tmp_path)!r}, 1) as there:\n"
        "    print(there.workers)"
    )
    limited = {**os.environ, "LOKY_MAX_CPU_COUNT": "1"}
    found = subprocess.check_output([sys.executable, "-c", code], env=limited, text=True)
    assert found.strip() == "1"


def test_an_address_where_no_cluster_answers_is_refused(project: Project) -> None:
    address = f"127.0.0.1:{free_port()}"
    assert f"execution.address = {address}: no cluster answers there (Connection refused)" in (
        lines_of_refusal(project, runner="ray", address=address)
    )


def test_an_address_is_for_a_cluster() -> None:
    with pytest.raises(ValueError, match=r"execution\.workers = 2 is for a cluster's workers"):
        Execution(workers=2)


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"versions": {"torch": "0"}}, "has torch 0, expected"),
        ({"versions": {"strop": None}}, "has strop not at all, expected"),
        ({"versions": {"code of strop": "0"}}, "has code of strop 0, expected"),
        ({"missing": "No module named 'strop'"}, "cannot load strop (No module named"),
        ({"store": "Permission denied"}, "cannot write the store (Permission denied)"),
        ({"disk": "8 MiB free"}, "lacks disk (8 MiB free)"),
        ({"prefect": "Connection refused"}, "does not reach Prefect's server (Connection refused)"),
    ],
)
def test_a_host_that_lacks_something_is_named(
    changed: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    durable.create(Store(tmp_path).root / "probe" / "t" / "run", b"here")
    found = facts(str(tmp_path), "t", "host", None)
    assert problem_of(found) is None
    versions = {**found["versions"], **changed.get("versions", {})}
    assert problem in str(problem_of({**found, **changed, "versions": versions}))


def test_a_host_that_sees_another_store_says_so(tmp_path: Path) -> None:
    found = facts(str(tmp_path), "t", "host", f"http://127.0.0.1:{free_port()}/api")
    assert "another folder lies there under the same path" in found["store"]
    assert found["prefect"] == "[Errno 111] Connection refused"


def test_too_little_shared_memory_or_disk_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_host(1 << 20, str(tmp_path), tmp_path)
    with pytest.raises(InputError, match=r"/dev/shm has [\d,]+ MiB free, expected"):
        check_host(1 << 60, str(tmp_path), tmp_path)
    monkeypatch.setattr(free_disk, "DISK_BYTES", 1 << 60)
    with pytest.raises(InputError, match=r"the disk of the store, has [\d,]+ MiB free, expected"):
        check_host(1 << 20, str(tmp_path), tmp_path)


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prefect_ray", None)
    with (
        pytest.raises(
            InputError, match=r"not installed \(prefect_ray\); pip install 'strop\[ray\]'"
        ),
        started(ON_RAY, "store", 1),
    ):
        pass
