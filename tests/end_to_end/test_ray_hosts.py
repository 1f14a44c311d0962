"""Hosts of a cluster, and this one, that really lack something: refused before the first stage.

Slow, since every test starts a cluster. What needs a mount of its own is skipped where none may
be made.
"""

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import boto3
import psutil
import pytest

import strop
from strop.artifacts.environment import library_versions
from tests.end_to_end.conftest import free_port

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LAYERS = ("artifacts", "pipeline", "tasks", "flows", "cli")
OBJECT_BYTES = 300_000_000
START = """
import sys
from ray.scripts.scripts import main
sys.exit(main())
"""


@functools.cache
def mounting():
    """The command that gives what follows mounts of its own; None where that is not allowed."""
    own = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    command = ["unshare", *own, "--mount", "sh", "-ec"]
    try:
        tried = subprocess.run([*command, "mount -t tmpfs tmpfs /mnt"], capture_output=True)
    except FileNotFoundError:
        return None
    return command if tried.returncode == 0 else None


def with_mount(mount):
    """A prefix of commands that see this mount; ``"$@"`` in it is the command."""
    if mounting() is None:
        pytest.skip("no mount of its own may be made here (unshare --mount)")
    return [*mounting(), f'{mount}\nexec "$@"', "sh"]


def small(folder, size):
    """A mount of so few MiB there."""
    return f"mount -t tmpfs -o size={size}m tmpfs {folder}"


@pytest.fixture
def cluster(server, tmp_path, tmp_path_factory):
    """Starts a cluster of one host, by a command with this prefix and environment; its address."""
    started = []
    # Sockets have short paths, so pytest's own folder is no place for them.
    folder = Path("/tmp") / f"strop-ray-test-{os.getpid()}-{free_port()}"

    def start(*options, prefix=(), **environment):
        address = f"127.0.0.1:{free_port()}"
        command = [*prefix, sys.executable, "-c", START, "start", "--head", "--block"]
        command += ["--port", address.rpartition(":")[2], "--temp-dir", str(folder)]
        command += ["--num-cpus", "2", "--include-dashboard", "false"]
        command += options or ["--object-store-memory", str(OBJECT_BYTES)]
        own = {"RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0", **environment}
        log = tmp_path / "ray.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                env={key: value for key, value in {**server, **own}.items() if value is not None},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        started.append(process)
        until = time.monotonic() + 100
        while "runtime started" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.2)
        return address

    yield start
    for process in started:
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(True)]
        for one in family:
            one.send_signal(signal.SIGKILL)
        psutil.wait_procs(family, timeout=20)
        process.wait(20)
    shutil.rmtree(folder, ignore_errors=True)


def refusal(project, address, *options, **environment):
    """What `strop run` on that cluster says: one line, before the first stage."""
    config = project.config(execution={"runner": "ray", "address": address, "threads": 1})
    done = project.strop("run", config, *options, RAY_AUTH_MODE="disabled", **environment)
    return line_of(done)


def line_of(done):
    assert done.returncode == 2, done.stdout + done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: execution.")
    assert "Traceback" not in done.stdout
    return line.removeprefix("error: ")


def nothing_in(store):
    """Whether a store is as empty as it was before: a mark alone."""
    return [path.name for path in store.rglob("*")] in ([], ["store.json"])


def test_a_store_that_is_read_only_for_workers(project, cluster):
    project.store.mkdir()
    bind = f"mount --bind {project.store} {project.store}"
    read_only = f"{bind}\nmount -o remount,ro,bind {project.store}"
    line = refusal(project, address := cluster(prefix=with_mount(read_only)))
    assert line.startswith(f"execution.address = {address}: host ")
    assert line.endswith(f"cannot write the store ({project.store}: Read-only file system)")
    assert nothing_in(project.store)


def test_a_store_of_another_user(project, cluster):
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("workers of another user need root and setpriv")
    # That user may read all, so that it finds Python and strop; it may write its own files alone.
    reading = ["--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    other = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *reading]
    line = refusal(project, cluster(prefix=other, HOME="/tmp"))
    assert line.endswith(f"cannot write the store ({project.store}: Permission denied)")
    assert nothing_in(project.store)


def test_a_host_that_sees_another_folder_under_the_same_path(project, cluster):
    project.store.mkdir()
    line = refusal(project, cluster(prefix=with_mount(small(project.store, 2000))))
    assert "another folder lies there under the same path" in line
    assert nothing_in(project.store)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"AWS_ACCESS_KEY_ID": None, "AWS_SECRET_ACCESS_KEY": None}, ""),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "access denied"),
        ({"AWS_ACCESS_KEY_ID": "unknown"}, "access denied"),
    ],
    ids=["none", "wrong", "unknown"],
)
def test_workers_without_the_credentials_of_a_bucket(
    project, cluster, guarded, bucket, wrong, reason
):
    environment = {**guarded, "STROP_CACHE": str(project.folder / "cache")}
    address = cluster(**{**environment, **wrong})
    line = refusal(project, address, "--store", bucket, **environment)
    assert "cannot write the store" in line
    assert reason in line
    assert "from the environment that Ray was started in" in line
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        assert guarded[name] not in line


@pytest.fixture
def guarded(s3, monkeypatch):
    """The environment of the only user whose requests the server carries out meanwhile."""
    made = {"endpoint_url": s3.server, "region_name": "us-east-1"}
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    iam = boto3.client("iam", **made)
    iam.create_user(UserName="strop")
    key = iam.create_access_key(UserName="strop")["AccessKey"]
    all_things = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [all_things]})
    iam.put_user_policy(UserName="strop", PolicyName="all", PolicyDocument=policy)
    own = {
        "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
    }
    unasked(s3, "0")
    yield {**s3.environment(), **own}
    unasked(s3, "inf")
    iam.delete_user_policy(UserName="strop", PolicyName="all")
    iam.delete_access_key(UserName="strop", AccessKeyId=key["AccessKeyId"])
    iam.delete_user(UserName="strop")


def unasked(s3, count):
    """So many requests are carried out whoever asks."""
    url = f"{s3.server}/moto-api/reset-auth"
    plain = {"Content-Type": "text/plain"}
    request = urllib.request.Request(url, data=count.encode(), headers=plain, method="POST")
    urllib.request.urlopen(request, timeout=30).close()


@pytest.mark.parametrize("name", ["torch", "strop"])
def test_workers_with_another_version(project, cluster, tmp_path, name):
    told = tmp_path / "other" / f"{name}-0.0.1.dist-info" / "METADATA"
    told.parent.mkdir(parents=True)
    told.write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 0.0.1\n")
    line = refusal(project, cluster(PYTHONPATH=str(tmp_path / "other")))
    assert line.endswith(f"has {name} 0.0.1, expected {library_versions()[name]} as here")
    assert nothing_in(project.store)


def test_workers_with_other_code_of_strop(project, cluster, tmp_path):
    package = tmp_path / "other" / "strop"
    package.mkdir(parents=True)
    shutil.copy(strop.__file__, package)
    for layer in LAYERS:
        shutil.copytree(Path(strop.__file__).parent.parent / layer, package / layer)
    with (package / "pipeline" / "seeds.py").open("a") as file:
        file.write("# changed\n")
    line = refusal(project, cluster(PYTHONPATH=str(tmp_path / "other")))
    assert "has code of strop " in line
    assert nothing_in(project.store)


def test_workers_whose_strop_cannot_be_loaded(project, cluster, tmp_path):
    package = tmp_path / "other" / "strop"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("import torch_of_another_time\n")
    line = refusal(project, cluster(PYTHONPATH=str(tmp_path / "other")))
    assert "cannot load strop (No module named 'torch_of_another_time'); install the" in line
    assert nothing_in(project.store)


def test_a_cluster_that_shares_too_little_memory(project, cluster):
    line = refusal(project, cluster("--object-store-memory", str(100 << 20)))
    assert "shares 100 MiB of memory among its workers, expected 256 MiB" in line
    assert nothing_in(project.store)


def test_a_cluster_without_processors_for_workers(project, cluster):
    address = cluster("--object-store-memory", str(OBJECT_BYTES), "--num-cpus", "0")
    line = refusal(project, address)
    assert "no host of the cluster has processors for workers, expected one at least" in line
    assert nothing_in(project.store)


def test_a_full_disk_of_a_host(project, cluster, bucket, s3, tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    environment = {**s3.environment(), "STROP_CACHE": str(cache)}
    address = cluster(prefix=with_mount(small(cache, 8)), **environment)
    line = refusal(project, address, "--store", bucket, **environment)
    assert f"lacks disk ({cache}/" in line
    assert "the disk of the store, has 8 MiB free, expected 1,024 MiB" in line


@pytest.mark.parametrize(
    ("size", "words"),
    [
        ({"shared": 64}, "/dev/shm has 64 MiB free, expected 256 MiB"),
        ({"store": 8}, ".strop, the disk of the store, has 8 MiB free, expected 1,024 MiB"),
        ({"temporary": 8}, "the disk of Ray's files, has 8 MiB free, expected 1,024 MiB"),
    ],
    ids=["shared memory", "store", "temporary files"],
)
def test_this_host_lacks_what_an_own_cluster_takes(project, tmp_path, size, words):
    project.store.mkdir()
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    places = {"shared": "/dev/shm", "store": project.store, "temporary": temporary}
    ((name, limit),) = size.items()
    config = project.config(execution={"runner": "ray", "workers": 1, "threads": 1})
    listing = f'"$@" || code=$?\nfind {project.store} -type f >{tmp_path}/left\nexit $code'
    command = [*with_mount(small(places[name], limit))[:-2], small(places[name], limit) + "\n"]
    command[-1] += listing
    command += ["sh", sys.executable, "-m", "strop.cli", "run", config]
    done = subprocess.run(
        command,
        cwd=project.folder,
        env={**project.environment, "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert words in line_of(done)
    left = (tmp_path / "left").read_text().split()
    assert [Path(path).name for path in left] == ["store.json"]
