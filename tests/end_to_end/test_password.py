"""A server of one's own that asks for a password."""

import base64
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tests.end_to_end.conftest import free_port

pytestmark = pytest.mark.slow

PASSWORD = "open-sesame"
AUTH = f"admin:{PASSWORD}"
SECRETS = (PASSWORD.encode(), base64.b64encode(AUTH.encode()))


@pytest.fixture
def guarded(project, tmp_path):
    """The environment of a client, but for the password; the server's files are in `home`."""
    home, port = tmp_path / "home", free_port()
    log = (tmp_path / "server.txt").open("w")
    process = subprocess.Popen(
        [sys.executable, "-m", "prefect", "server", "start", "--port", str(port)],
        env={
            **project.environment,
            "PREFECT_HOME": str(home),
            "PREFECT_SERVER_API_AUTH_STRING": AUTH,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        },
        stdout=log,
        stderr=subprocess.STDOUT,
    )
    api = f"http://127.0.0.1:{port}/api"
    try:
        wait_until_it_answers(api)
        yield {"PREFECT_API_URL": api, "PREFECT_HOME": str(tmp_path / "client")}
    finally:
        process.terminate()
        process.wait(30)
        log.close()


def wait_until_it_answers(api):
    """Ask without a password until the server says that one is needed."""
    deadline = time.monotonic() + 90
    while answer(api) != 401:
        assert time.monotonic() < deadline, "no server that asks for a password"
        time.sleep(0.5)


def answer(api):
    try:
        with urllib.request.urlopen(f"{api}/flow_runs/count", b"{}") as found:
            return found.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except urllib.error.URLError:
        return None


def test_only_the_right_password_is_let_in_and_it_is_kept_nowhere(project, guarded, tmp_path):
    config = project.config("guarded.yaml", name="guarded", rounds=1)
    for given in ({}, {"PREFECT_API_AUTH_STRING": "admin:wrong"}):
        refused = project.strop("round", config, "--round", "1", **guarded, **given)
        assert refused.returncode == 2, refused.stderr
        (line,) = refused.stderr.splitlines()
        assert line.startswith(f"error: the Prefect server at {guarded['PREFECT_API_URL']} refuses")
        assert "PREFECT_API_AUTH_STRING" in line
        assert not list(project.store.glob("objects/*/*/manifest.json"))

    let_in = {**guarded, "PREFECT_API_AUTH_STRING": AUTH}
    done = project.strop("--verbose", "round", config, "--round", "1", **let_in)
    assert done.returncode == 0, done.stderr
    assert "✓ accept · round 1" in done.stdout
    deployed = project.strop("deploy", config, "--no-worker", **let_in)
    assert deployed.returncode == 0, deployed.stderr

    told = "".join((done.stdout, done.stderr, deployed.stdout, deployed.stderr)).encode()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"prefect.db", "server.txt", "manifest.json"} <= {path.name for path in files}
    for secret in SECRETS:
        assert secret not in told
        assert [path for path in files if secret in path.read_bytes()] == []
