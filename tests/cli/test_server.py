"""Real servers: one is shared by most tests, started by two processes at once."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest

from strop.cli import server_alive
from strop.cli.managed_server import STOP_SECONDS
from strop.cli.server import (
    Server,
    ServerUnavailable,
    client_environment,
    ensure_server,
    fault_of_server,
    find_server,
    stop_server,
)

ENSURE = """
import json, dataclasses
from strop.cli.server import ensure_server
print(json.dumps(dataclasses.asdict(ensure_server(lambda text: None))))
"""

STARTER = """
import json, dataclasses, sys
from strop.cli.server import ensure_server
told = []
print(json.dumps([dataclasses.asdict(ensure_server(told.append)), told]), flush=True)
sys.stdin.read()
"""
"""A run that lives on, and does not reap the server that it started."""

FLOW = """
import os, sys
from strop.cli.quiet import quiet_terminal
from strop.cli.server import client_environment, find_server

quiet_terminal()
os.environ.update(client_environment(find_server()))

import warnings
from prefect import flow, get_run_logger, task
from prefect.states import Completed

@task(task_run_name="score {name}")
def score(name):
    get_run_logger().warning("scored %s", name)
    warnings.warn("chatter")
    return Completed(name="Reused", data={"id": "abc"})

@flow(name="quiet")
def sharpen(name, fails):
    reference = score(name, return_state=True).result()
    get_run_logger().info("sharpened %s", reference["id"])
    if fails:
        raise OSError("the disk is full")

try:
    sharpen(sys.argv[1], sys.argv[2] == "fails")
except OSError:
    sys.exit(2)
"""


def fail_if_told(text: str) -> None:
    pytest.fail(f"started a server: {text}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asked(server: Server, path: str, **body: Any) -> Any:
    request = urllib.request.Request(
        f"{server.url}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def recorded(state: Path) -> dict[str, Any]:
    return dict(json.loads((state / "server.json").read_text()))


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("PREFECT_")]:
            patch.delenv(name)
        patch.setenv("PREFECT_HOME", str(folder / "no-profiles"))
        patch.setenv("STROP_STATE", str(folder))
        patch.setenv("STROP_SERVER_PORT", str(free_port()))
        yield folder
        stop_server()


@pytest.fixture(scope="module")
def starts(state: Path) -> list[dict[str, Any]]:
    """What two processes that needed a server at the same time were given."""
    command = [sys.executable, "-c", ENSURE]
    racers = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    return [json.loads(racer.communicate()[0]) for racer in racers]


@pytest.fixture(scope="module")
def server(starts: list[dict[str, Any]]) -> Server:
    return Server(**{**starts[0], "started": False})


@pytest.fixture
def empty_state(state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STROP_STATE", str(tmp_path))
    return tmp_path


def test_two_processes_at_once_share_one_server(starts: list[dict[str, Any]]) -> None:
    assert sorted(start["started"] for start in starts) == [False, True]
    assert starts[0]["url"] == starts[1]["url"]


def test_the_server_outlives_its_starter_and_is_found_again(server: Server, state: Path) -> None:
    assert ensure_server(fail_if_told) == server
    assert find_server() == server
    pid = recorded(state)["pid"]
    assert os.getsid(pid) == pid  # the terminal's Ctrl-C does not reach it
    command = psutil.Process(pid).cmdline()
    assert "strop.cli.server_process" in command, "whose event loop waits for no garbage"
    assert server.ui_url == server.url.removesuffix("/api")


def test_a_server_is_known_when_the_clock_was_set_meanwhile(
    server: Server, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Linux derives start times from a time of its boot, which moves then."""
    before = psutil.boot_time()
    monkeypatch.setattr(psutil._psplatform, "boot_time", lambda: before + 3600)
    assert psutil.Process(recorded(state)["pid"]).create_time() > recorded(state)["created"] + 60
    assert ensure_server(fail_if_told) == server


def test_a_server_that_lives_on_another_machine_is_left_alone(
    server: Server, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_alive, "LEAVING_SECONDS", 0.2)
    record = recorded(state)
    elsewhere = {**record, "pid": 2**22 + 1}  # as if its process were none of this machine
    (state / "server.json").write_text(json.dumps(elsewhere))
    for command in (lambda: ensure_server(fail_if_told), stop_server):
        with pytest.raises(ServerUnavailable) as caught:
            command()
        where = (
            f"of {state} runs on {socket.gethostname()} as process {record['pid']}; end it there"
        )
        assert where in str(caught.value)
        assert "\n" not in str(caught.value)
        assert recorded(state) == elsewhere
    (state / "server.json").unlink()
    with pytest.raises(ServerUnavailable, match="runs on"):
        ensure_server(lambda text: None)
    (state / "server.json").write_text(json.dumps(record))
    assert ensure_server(fail_if_told) == server


def test_a_server_that_is_still_leaving_is_waited_for(tmp_path: Path) -> None:
    with server_alive.held_alive(tmp_path) as alive:
        leaving = subprocess.Popen(["sleep", "1"], pass_fds=[alive.fileno()])
    server_alive.refuse_another_machines(tmp_path)
    assert leaving.wait(timeout=0.5) == 0


@pytest.mark.parametrize(
    ("outcome", "code", "ends"), [("ends", 0, "Completed"), ("fails", 2, "Failed")]
)
def test_a_flow_is_silent_here_and_logged_there(
    server: Server, tmp_path: Path, outcome: str, code: int, ends: str
) -> None:
    script = tmp_path / "sharpen.py"
    script.write_text(FLOW)
    command = [sys.executable, str(script), f"scores of {outcome}", outcome]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")

    run = asked(server, "flow_runs/filter", sort="START_TIME_DESC", limit=1)[0]
    assert run["state_name"] == ends
    logs = asked(server, "logs/filter", logs={"flow_run_id": {"any_": [run["id"]]}})
    lines = [log["message"] for log in logs]
    assert {f"scored scores of {outcome}", "sharpened abc"} <= set(lines)
    assert any("the disk is full" in line for line in lines) == (outcome == "fails")
    tasks = asked(server, "task_runs/filter", flow_runs={"id": {"any_": [run["id"]]}})
    assert [(t["name"], t["state_name"]) for t in tasks] == [
        (f"score scores of {outcome}", "Reused")
    ]


def test_the_pages_ask_this_server(server: Server) -> None:
    with urllib.request.urlopen(f"{server.ui_url}/ui-settings", timeout=10) as answer:
        assert json.load(answer)["api_url"] == server.url


def test_the_users_own_settings_stay(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "INFO")
    monkeypatch.setenv("no_proxy", "intranet")
    environment = client_environment(server)
    assert environment["PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL"] == "INFO"
    assert environment["no_proxy"] == "intranet,127.0.0.1,localhost"
    assert environment["PREFECT_API_URL"] == server.url


def test_a_profile_with_an_address_is_respected(
    server: Server, empty_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f'active = "team"\n[profiles.team]\nPREFECT_API_URL = "{server.url}/"\n'
    (empty_state / "profiles.toml").write_text(text)
    monkeypatch.setenv("PREFECT_HOME", str(empty_state))
    configured = ensure_server(fail_if_told)
    assert configured == Server(server.url, server.ui_url, managed=False)
    assert "PREFECT_HOME" not in client_environment(configured)


@pytest.mark.parametrize(
    ("started", "reason"), [(False, "Connection refused"), (True, "its address ends in /api")]
)
def test_an_address_without_prefect_is_one_line(
    server: Server, monkeypatch: pytest.MonkeyPatch, started: bool, reason: str
) -> None:
    url = server.ui_url if started else f"http://127.0.0.1:{free_port()}/api"
    monkeypatch.setenv("PREFECT_API_URL", url)
    with pytest.raises(ServerUnavailable) as caught:
        ensure_server(fail_if_told)
    assert f"PREFECT_API_URL is {url}, but" in str(caught.value)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)
    assert find_server() is None


def test_a_port_that_another_program_holds(
    empty_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        monkeypatch.setenv("STROP_SERVER_PORT", str(port))
        with pytest.raises(ServerUnavailable, match=f"port {port} .* taken by .*STROP_SERVER_PORT"):
            ensure_server(lambda text: None)
    assert not (empty_state / "server.json").exists()


def test_a_port_that_a_server_of_another_state_folder_holds(
    server: Server, state: Path, empty_state: Path
) -> None:
    with pytest.raises(ServerUnavailable, match=f"strop's own of {state}; set STROP_STATE={state}"):
        ensure_server(lambda text: None)


def test_a_port_that_a_server_holds_whose_state_folder_was_removed(
    server: Server, state: Path, empty_state: Path
) -> None:
    """It answers, but has no database any more."""
    record = state / "server.json"
    aside = record.rename(state / "aside.json")
    pid = json.loads(aside.read_text())["pid"]
    try:
        with pytest.raises(ServerUnavailable, match=rf"end it \(kill {pid}\) and try again"):
            ensure_server(lambda text: None)
    finally:
        aside.rename(record)


def test_a_port_that_a_foreign_prefect_holds(
    server: Server, empty_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strop.cli.server_port.PROCESS", "another")
    with pytest.raises(ServerUnavailable, match=f"set PREFECT_API_URL={server.url} to use it"):
        ensure_server(lambda text: None)


@pytest.mark.parametrize(("free", "told"), [(0, "disk full at"), (1 << 30, "server.log tells why")])
def test_a_fault_of_the_server_is_no_fault_of_strop(
    server: Server, state: Path, monkeypatch: pytest.MonkeyPatch, free: int, told: str
) -> None:
    from prefect.exceptions import PrefectHTTPStatusError

    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=free))
    request = httpx.Request("POST", f"{server.url}/flow_runs/")
    answer = httpx.Response(500, request=request)
    error = PrefectHTTPStatusError("500", request=request, response=answer)
    monkeypatch.setenv("PREFECT_API_URL", server.url)
    message = fault_of_server(error) or ""
    assert message.startswith(f"the Prefect server at {server.url} answers 500")
    assert str(state) in message
    assert told in message
    assert message.endswith("the same command resumes")

    monkeypatch.setenv("PREFECT_API_URL", "http://else.example/api")
    assert str(state) not in (fault_of_server(error) or str(state))
    assert fault_of_server(httpx.HTTPStatusError("500", request=request, response=answer)) is None
    refusal = httpx.Response(422, request=request)
    asked_wrongly = PrefectHTTPStatusError("422", request=request, response=refusal)
    assert fault_of_server(asked_wrongly) is None


def test_a_port_that_is_no_port(empty_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STROP_SERVER_PORT", "http")
    with pytest.raises(ServerUnavailable, match="STROP_SERVER_PORT is 'http'"):
        ensure_server(lambda text: None)


def test_a_state_folder_that_is_a_file(empty_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_state / "file").touch()
    monkeypatch.setenv("STROP_STATE", str(empty_state / "file"))
    with pytest.raises(ServerUnavailable, match=r"state folder .*file cannot be written"):
        ensure_server(fail_if_told)


@pytest.mark.parametrize("pid", [os.getpid(), 2**22 + 1], ids=["another process", "nobody"])
def test_a_stale_record_is_cleaned_and_nobody_is_ended(empty_state: Path, pid: int) -> None:
    record = {"pid": pid, "created": 1.0, "port": 1, "package": "", "stamp": "gone"}
    (empty_state / "server.json").write_text(json.dumps(record))
    assert find_server() is None
    assert stop_server() is False
    assert not (empty_state / "server.json").exists()


def test_a_server_that_dies_at_its_start_tells_why(
    empty_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (empty_state / "home" / "prefect.db").mkdir(parents=True)
    monkeypatch.setenv("STROP_SERVER_PORT", str(free_port()))
    with pytest.raises(ServerUnavailable) as caught:
        ensure_server(lambda text: None)
    assert "ended while it started" in str(caught.value)
    assert str(empty_state / "server.log") in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not (empty_state / "server.json").exists()


def test_a_server_whose_files_were_replaced_starts_anew_and_stops_while_its_run_lives(
    server: Server, state: Path
) -> None:
    first = recorded(state)
    (state / "server.json").write_text(json.dumps({**first, "stamp": "of a removed environment"}))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", STARTER], **pipes, text=True) as run:
        assert run.stdout is not None
        again, told = json.loads(run.stdout.readline())
        second = recorded(state)
        assert Server(**again) == Server(server.url, server.ui_url, managed=True, started=True)
        assert len(told) == 1
        assert not psutil.pid_exists(first["pid"])

        asked_at = time.monotonic()
        assert stop_server() is True
        assert time.monotonic() - asked_at < STOP_SECONDS
        assert psutil.Process(second["pid"]).status() == psutil.STATUS_ZOMBIE
        run.communicate()
    assert run.returncode == 0
    assert not psutil.pid_exists(second["pid"])
    assert find_server() is None
    assert stop_server() is False
