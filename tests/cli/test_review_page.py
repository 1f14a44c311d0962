"""The review's page as a browser sees it: real requests to the real server."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request

import pytest

from strop.artifacts.reviews import ReviewLog, review_lease
from strop.cli.review.page import page
from strop.cli.review.server import ReviewServer
from strop.flows.review import open_review
from strop.flows.verdicts import verdicts_among
from tests.review_world import MARKUP, mined_run


class Browser:
    """Sends what a browser on the page would send."""

    def __init__(self, url):
        self.url = url
        self.origin = "/".join(url.split("/")[:3])

    def get(self, path="", url=None, **headers):
        request = urllib.request.Request((url or self.url) + path, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return reply.headers, reply.read().decode()

    def json(self, path):
        return json.loads(self.get(path)[1])

    def post(self, path, body, **headers):
        headers = {"Origin": self.origin, "Content-Type": "application/json", **headers}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, headers=headers)
        with urllib.request.urlopen(request, timeout=10) as reply:
            return json.loads(reply.read())

    def say(self, query, passage, verdict, **headers):
        body = {"query_id": query, "passage_id": passage, "verdict": verdict}
        return self.post("verdict", body, **headers)


@pytest.fixture
def run(tmp_path):
    return mined_run(tmp_path / "store")


@pytest.fixture
def server(run):
    with review_lease(run) as lease, ReviewServer(open_review(run, None, lease)) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def browser(server):
    return Browser(server.url)


def refused(work, *args, **more):
    with pytest.raises(urllib.error.HTTPError) as caught:
        work(*args, **more)
    with caught.value as reply:
        return reply.code, json.loads(reply.read())["error"]


def test_the_page_is_one_document_that_loads_nothing_from_elsewhere(browser):
    headers, text = browser.get()
    assert "small · round 1" in text
    for word in ("http:", "https:", "//cdn", '<link rel="stylesheet', "<img", "innerHTML"):
        assert word not in text
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe-inline" not in policy
    nonce = policy.split("script-src 'nonce-")[1].split("'")[0]
    assert text.count(f'nonce="{nonce}"') == 2
    assert headers["Cache-Control"] == "no-store"


def test_a_run_s_name_is_escaped():
    assert "<b>" not in page("<b>", 1, "nonce")


def test_a_card_has_all_that_a_person_needs_and_markup_stays_text(browser):
    card = browser.json("cards/1")
    assert card["query"] == "Open a file"
    assert card["suspect"] == {"passage_id": "p3", "title": "", "text": MARKUP}
    assert [passage["passage_id"] for passage in card["positives"]] == ["p1"]
    assert (card["score"], card["positive_score"], card["rule"]) == (
        3.25,
        1.5,
        "margin by the reranker and the first stage",
    )
    assert refused(browser.get, "cards/3")[0] == 404
    assert browser.get("cards/1")[0]["Content-Type"].startswith("application/json")


def test_verdicts_are_on_disk_before_the_answer_and_undone_one_by_one(browser, run):
    assert browser.json("state") == {"verdicts": [None, None, None], "undoable": False}
    assert browser.say("q1", "p2", "relevant")["verdicts"] == ["relevant", None, None]
    assert ReviewLog(run).verdicts == {("q1", "p2"): "relevant"}
    browser.say("q2", "p5", "unsure")
    undone = browser.post("undo", {})
    assert undone == {"verdicts": ["relevant", None, None], "undoable": True, "undone": 2}
    assert ReviewLog(run).verdicts == {("q1", "p2"): "relevant"}
    assert browser.post("undo", {})["undone"] == 0
    assert browser.post("undo", {})["undone"] is None


def test_the_page_s_finish_keeps_the_verdicts_and_ends_the_server(server, browser, run):
    browser.say("q1", "p2", "relevant")
    made = browser.post("finish", {})
    ref = verdicts_among(run.parts(), 2)
    assert made["verdicts"] == ref.id == server.finished.verdicts.id
    assert run.store.table(ref, "verdicts").num_rows == 1


def test_finishing_too_early_or_while_the_run_works_is_told_and_loses_nothing(browser, run):
    assert refused(browser.post, "finish", {}) == (
        409,
        "run small: nobody has judged a suspect yet, expected one verdict at least",
    )
    browser.say("q1", "p2", "relevant")
    with run.lease():
        code, message = refused(browser.post, "finish", {})
    assert code == 409
    assert "run small: process" in message
    assert browser.post("finish", {})["verdicts"]


def test_other_pages_and_other_hosts_cannot_post_or_look(server, browser, run):
    said = ("q1", "p2", "relevant")
    assert refused(browser.say, *said, Origin="http://evil.example")[0] == 403
    assert refused(browser.say, *said, Origin="null")[0] == 403
    assert refused(browser.say, *said, Host="evil.example")[0] == 403
    assert refused(browser.say, *said, **{"Content-Type": "text/plain"})[0] == 415
    assert refused(browser.get, Host="evil.example")[0] == 403
    root = f"{browser.origin}/"
    for path in ("", "state", "wrong-token/", "wrong-token/state", "wrong-token/cards/0"):
        assert refused(browser.get, path, url=root)[0] == 403
    assert server.server_address[0] == "127.0.0.1"
    assert ReviewLog(run).verdicts == {}


@pytest.mark.parametrize("target", ["state", "*", "http://evil.example", "?", "//"])
def test_an_address_without_the_token_is_refused_whatever_its_form(server, capfd, target):
    with socket.create_connection(server.server_address, timeout=10) as line:
        line.sendall(f"GET {target} HTTP/1.0\r\nHost: {server.hosts[0]}\r\n\r\n".encode())
        assert line.makefile("rb").readline().split()[1] == b"403"
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"query_id": "q1", "passage_id": "p2", "verdict": "good"}, 400),
        ({"query_id": "q1", "passage_id": "p1", "verdict": "relevant"}, 404),
        ({"query_id": ["q1"], "passage_id": {}, "verdict": "relevant"}, 404),
        ({}, 404),
        ([], 400),
        (b"{", 400),
        (b"\xff", 400),
        (b" " * 70_000, 413),
        (b"[" * 60_000, 400),
    ],
)
def test_what_is_no_verdict_is_refused(browser, run, body, code):
    assert refused(browser.post, "verdict", body)[0] == code
    assert ReviewLog(run).verdicts == {}


def start(run):
    """The command as a user starts it, and its page's address."""
    command = [sys.executable, "-m", "strop.cli", "review", "small", "--no-browser"]
    process = subprocess.Popen(
        [*command, "--store", str(run.store.root)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    standing = process.stdout.readline()
    return process, standing, process.stdout.readline().strip()


def test_a_review_that_is_killed_goes_on_where_it_was(run):
    process, standing, url = start(run)
    assert standing == "run small, round 1: 0 of 3 suspects judged\n"
    Browser(url).say("q1", "p2", "relevant")
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)

    process, standing, url = start(run)
    assert standing == "run small, round 1: 1 of 3 suspects judged\n"
    browser = Browser(url)
    assert browser.json("state")["verdicts"] == ["relevant", None, None]
    made = browser.post("finish", {})
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 0
    assert f"verdicts {made['verdicts']}: 1 relevant, 0 not relevant, 0 unsure" in out


def test_ctrl_c_tells_how_far_the_review_is_and_how_to_keep_it(run):
    process, _, url = start(run)
    Browser(url).say("q1", "p2", "relevant")
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "1 of 3 suspects judged; to keep them: strop review small --finish" in out
