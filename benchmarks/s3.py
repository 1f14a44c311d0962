"""An S3-compatible server of this machine (moto's), and a proxy before it that can be made to fail.

    python benchmarks/s3.py

prints both addresses as a line of JSON, and serves until its standard input is closed. What the
proxy does next is posted to its path ``/-/plan`` as JSON (see `Plan`).
"""

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

BUCKET = "strop"
FAULTS = ("lost answer", "lost request", "late request", "slow answer", "500", "503", "500 after")
KILLS = ("kill before", "kill after")
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "key-of-the-tests",
    "AWS_SECRET_ACCESS_KEY": "secret-of-the-tests",
}


@dataclass
class Plan:
    """What the proxy does: which fault at which request, for good or with some probability.

    ``at`` counts the requests from the plan on; ``rate`` is the share of all others that get one
    of `FAULTS` by chance. ``methods`` are those that count. ``victim`` is the process that a kill
    strikes. ``blind`` takes the conditions out of writes, as a server that ignores them.
    """

    fault: str = ""
    at: int = -1
    rate: float = 0.0
    seed: int = 0
    victim: int = 0
    methods: tuple[str, ...] = ("GET", "HEAD", "PUT", "POST", "DELETE")
    seconds: float = 0.3
    blind: tuple[str, ...] = ()


@dataclass
class State:
    """The plan, what the proxy has seen since it was made, and what it did."""

    plan: Plan = field(default_factory=Plan)
    seen: int = 0
    done: dict[str, int] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))
    turn: threading.Lock = field(default_factory=threading.Lock)

    def next_fault(self, method: str, path: str) -> str:
        """What happens to this request."""
        with self.turn:
            self.requests.append(f"{method} {path}")
            if method not in self.plan.methods:
                return ""
            number, self.seen = self.seen, self.seen + 1
            fault = self.plan.fault if number == self.plan.at else ""
            if not fault and self.chance.random() < self.plan.rate:
                fault = self.chance.choice(FAULTS)
            if fault:
                self.done[fault] = self.done.get(fault, 0) + 1
            return fault


class Handler(BaseHTTPRequestHandler):
    """Passes requests on, or does what the plan says."""

    protocol_version = "HTTP/1.1"
    state: State
    upstream: str

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/-/plan":
            self._replan(body)
            return
        fault = self.state.next_fault(self.command, self.path)
        seconds, victim = self.state.plan.seconds, self.state.plan.victim
        if fault == "kill before":
            os.kill(victim, signal.SIGKILL)
        elif fault == "late request":
            threading.Timer(seconds, self._forward, [body]).start()
        if fault in ("lost request", "late request", "kill before"):
            self.close_connection = True
            return
        if fault in ("500", "503"):
            self._answer(int(fault), [], b"<Error><Code>InternalError</Code></Error>")
            return
        answer = self._forward(body)
        if fault == "kill after":
            os.kill(victim, signal.SIGKILL)
        if fault in ("lost answer", "kill after"):
            self.close_connection = True
            return
        if fault == "500 after":
            answer = (500, [], b"<Error><Code>InternalError</Code></Error>")
        elif fault == "slow answer":
            time.sleep(seconds)
        self._answer(*answer)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

    def _replan(self, body: bytes) -> None:
        state = self.state
        told = {"seen": state.seen, "done": state.done, "requests": state.requests[-400:]}
        if body:
            state.plan = Plan(**json.loads(body))
            state.seen, state.done, state.requests = 0, {}, []
            state.chance = random.Random(state.plan.seed)
        self._answer(200, [], json.dumps(told).encode())

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        blind = {name.lower() for name in self.state.plan.blind}
        headers = {k: v for k, v in self.headers.items() if k.lower() not in blind}
        connection = http.client.HTTPConnection(self.upstream, timeout=60)
        try:
            connection.request(self.command, self.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = lengths[0] if self.command == "HEAD" and lengths else str(len(body))
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Servers:
    """The addresses of a server and of the proxy before it."""

    server: str
    proxy: str

    def environment(self, *, proxied: bool = False) -> dict[str, str]:
        """What a process needs to use it."""
        address = self.proxy if proxied else self.server
        return {**CREDENTIALS, "AWS_ENDPOINT_URL": address, "AWS_REGION": "us-east-1"}

    def plan(self, plan: Plan | None = None) -> dict[str, Any]:
        """Set what the proxy does, or only ask; returns what it did under the plan before."""
        data = json.dumps(asdict(plan)).encode() if plan else b""
        request = urllib.request.Request(f"{self.proxy}/-/plan", data=data, method="POST")
        with urllib.request.urlopen(request, timeout=30) as answer:
            told: dict[str, Any] = json.load(answer)
        return told


@contextmanager
def running() -> Iterator[Servers]:
    """A server and a proxy in a process of their own, which ends with this one."""
    command = [sys.executable, __file__]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        servers = Servers(**json.loads(process.stdout.readline()))
        try:
            yield servers
        finally:
            process.kill()


def serve() -> None:
    """Serve until standard input is closed."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    make = urllib.request.Request(f"http://{host}:{port}/{BUCKET}", method="PUT")
    urllib.request.urlopen(make, timeout=30).close()
    handler = type("Bound", (Handler,), {"state": State(), "upstream": f"{host}:{port}"})
    proxy = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    proxy.daemon_threads = True
    threading.Thread(target=proxy.serve_forever, daemon=True).start()
    told = Servers(f"http://{host}:{port}", f"http://127.0.0.1:{proxy.server_address[1]}")
    print(json.dumps(asdict(told)), flush=True)
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    argparse.ArgumentParser(description="A local S3 server with a proxy that fails.").parse_args()
    serve()
