"""Eight processes that commit the same and other artifacts, move a champion and collect garbage."""

import json
import subprocess
import sys
from typing import Any

import pytest

from strop.artifacts import refs
from strop.artifacts.manifest import ArtifactRef
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.artifacts.verify import readable, verify

WRITERS, COLLECTORS, LOOPS = 6, 2, 12

WORKER = """
import json, sys
from strop.artifacts import refs
from strop.artifacts.errors import Busy, Conflict
from strop.artifacts.manifest import Recipe
from strop.artifacts.runs import Run
from strop.artifacts.store import Store
from strop.artifacts.upkeep.collect import collect
from strop.artifacts.upkeep.plan import Policy

root, name, loops = sys.argv[1], sys.argv[2], int(sys.argv[3])
store = Store(root)


def make(number, shared, inputs):
    parameters = {"number": number} if shared else {"number": number, "by": name}
    recipe = Recipe("scores", "score", 1, parameters, inputs)
    found = store.lookup(recipe)
    if found is None:
        with store.attempt(recipe) as attempt:
            for file in ("a.txt", "b.txt"):
                (attempt.folder / file).write_text(f"{number} {None if shared else name}")
            found = store.commit(attempt, summary={})
    texts = {store.file(found, file).read_text() for file in ("a.txt", "b.txt")}
    assert texts == {f"{number} {None if shared else name}"}, texts  # no torn read
    return found.ref


def write():
    moved, run = 0, Run(store, name)
    run.claim({"by": name})
    with run.lease() as lease:
        for number in range(loops):
            shared = make(number, True, {})
            own = make(number, False, {"shared": shared})
            make(number + 1000, False, {"own": own})  # nobody speaks of it: garbage
            run.record(lease, f"round-{number:03d}", {"own": own})
            while True:
                try:
                    refs.move(store, refs.read(store, "champion"), {"reranker": vars(own)})
                    moved += 1
                    break
                except Conflict:
                    continue
    return {"moved": moved}


def clean():
    gone = 0
    for _ in range(loops):
        try:
            gone += len(collect(store, Policy(keep_days=0, grace_seconds=0.02)).artifacts)
        except Busy:
            continue
    return {"gone": gone}


print("ready", flush=True)
sys.stdin.readline()
print(json.dumps(clean() if name.startswith("collector") else write()), flush=True)
"""


def start(root: object, name: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, str(root), name, str(LOOPS)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = process.communicate("go\n", timeout=120)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


@pytest.mark.parametrize(
    "location", ["folder", pytest.param("s3", marks=pytest.mark.slow)], indirect=True
)
def test_eight_processes_lose_nothing(store: Store) -> None:
    names = [f"writer-{n}" for n in range(WRITERS)] + [f"collector-{n}" for n in range(COLLECTORS)]
    processes = [start(store.root, name) for name in names]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    found = [told(process) for process in processes]
    # every move was made once, and its value is there
    moves = refs.history(store, "champion")
    assert [move.generation for move in moves] == list(range(1, WRITERS * LOOPS + 1))
    assert sum(item.get("moved", 0) for item in found) == len(moves)
    for move in moves:
        assert store.manifest(ArtifactRef(**move.value["reranker"]))
    # every record is there, and what it speaks of
    for name in names[:WRITERS]:
        parts = Run(store, name).parts()
        assert len(parts) == LOOPS
        assert all(store.manifest(made["own"]) for made in parts.values())
    manifests, broken = readable(store)
    assert broken == []
    assert [item for _, defects in verify(store, manifests, deep=True) for item in defects] == []
    shared = [item for item in manifests if "by" not in item.parameters]
    assert len(shared) == LOOPS
    assert list((store.root / "objects").rglob("manifest.doomed")) == []


@pytest.mark.parametrize(
    "location", ["folder", pytest.param("s3", marks=pytest.mark.slow)], indirect=True
)
def test_what_the_processes_left_behind_is_garbage_afterwards(store: Store) -> None:
    writer = start(store.root, "writer-0")
    told(writer)
    collector = start(store.root, "collector-0")
    assert told(collector)["gone"] == LOOPS
    assert len(store.artifacts()) == 2 * LOOPS
