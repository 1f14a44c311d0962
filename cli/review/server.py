"""The review's page over HTTP, for this machine's user alone: loopback, a token, one origin."""

import json
import secrets
import socketserver
import sys
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from strop.artifacts.errors import StoreError
from strop.cli.review.page import page
from strop.flows.review import WORDS, Finished, Review
from strop.pipeline.errors import InputError

HOST = "127.0.0.1"
LARGEST_BODY = 1 << 16
POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class Refused(Exception):
    """A request that is answered with an error: its status and one sentence."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        """Say why."""
        super().__init__(message)
        self.status = status


class ReviewServer(ThreadingHTTPServer):
    """Serves one review until it is finished or stopped."""

    daemon_threads = True

    def __init__(self, review: Review, *, port: int = 0) -> None:
        """Bind to the port, or a free one; raises `OSError` when it is taken."""
        super().__init__((HOST, port), _Handler)
        self.review = review
        self.token = secrets.token_urlsafe(24)
        self.finished: Finished | None = None

    def server_bind(self) -> None:
        """Bind without asking a name server who we are."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, int(self.server_address[1])

    @property
    def url(self) -> str:
        """The page's address, with the token that lets its holder in."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    @property
    def hosts(self) -> tuple[str, str]:
        """The names under which a browser on this machine knows the server."""
        return f"{HOST}:{self.server_port}", f"localhost:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers break off requests as they please: no traceback for that."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    timeout = 30

    def do_GET(self) -> None:
        """The page, its state, or one card."""
        self._answer(self._get)

    def do_POST(self) -> None:
        """A verdict, its undoing, or the end."""
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Keep the terminal for what people want to know."""

    def _answer(self, respond: Any) -> None:
        try:
            respond(self._path())
        except Refused as error:
            self._send_json({"error": str(error)}, error.status)
        except (InputError, StoreError) as error:
            self._send_json({"error": str(error)}, HTTPStatus.CONFLICT)
        except OSError as error:
            message = f"not saved: {error.strerror or error}"
            self._send_json({"error": message}, HTTPStatus.INSUFFICIENT_STORAGE)

    def _path(self) -> str:
        """The path behind the token; refuses other hosts' names (DNS rebinding) and tokens."""
        if self.headers.get("Host") not in self.server.hosts:
            raise Refused(HTTPStatus.FORBIDDEN, f"expected the host {self.server.hosts[0]}")
        _, _, behind = self.path.partition("?")[0].partition("/")
        token, _, path = behind.partition("/")
        if not secrets.compare_digest(token.encode(), self.server.token.encode()):
            raise Refused(HTTPStatus.FORBIDDEN, "expected the address that strop review printed")
        return path

    def _get(self, path: str) -> None:
        review = self.server.review
        if path == "":
            nonce = secrets.token_urlsafe(16)
            text = page(review.run.name, review.number, nonce).encode()
            policy = POLICY.format(nonce=nonce)
            self._send(text, "text/html; charset=utf-8", {"Content-Security-Policy": policy})
        elif path == "state":
            self._send_json(_state(review))
        elif path.startswith("cards/"):
            self._send_json(_card(review, path.removeprefix("cards/")))
        else:
            raise Refused(HTTPStatus.NOT_FOUND, f"nothing at {path!r}")

    def _post(self, path: str) -> None:
        if self.headers.get("Origin") not in {f"http://{host}" for host in self.server.hosts}:
            raise Refused(HTTPStatus.FORBIDDEN, "expected a request from the review's own page")
        body, review = self._body(), self.server.review
        if path == "verdict":
            pair = (str(body.get("query_id")), str(body.get("passage_id")))
            if pair not in _places(review):
                raise Refused(HTTPStatus.NOT_FOUND, f"{pair} is no suspect of this round")
            if body.get("verdict") not in WORDS:
                expected = f"expected {', '.join(WORDS)}"
                raise Refused(
                    HTTPStatus.BAD_REQUEST, f"verdict {body.get('verdict')!r}, {expected}"
                )
            review.give(pair, body["verdict"])
            self._send_json(_state(review))
        elif path == "undo":
            places = _places(review)
            undone = review.undo() if review.log.undoable in places else None
            self._send_json({**_state(review), "undone": places.get(undone)})
        elif path == "finish":
            self._finish()
        else:
            raise Refused(HTTPStatus.NOT_FOUND, f"nothing at {path!r}")

    def _finish(self) -> None:
        finished = self.server.finished = self.server.review.finish()
        self._send_json({"verdicts": finished.verdicts.id, "sentence": finished.sentence})
        threading.Thread(target=self.server.shutdown).start()

    def _body(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST_BODY:
            raise Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"expected {LARGEST_BODY} bytes")
        if self.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "expected application/json")
        try:
            values = json.loads(self.rfile.read(int(length)))
        except (ValueError, RecursionError) as error:
            raise Refused(HTTPStatus.BAD_REQUEST, "expected JSON") from error
        if not isinstance(values, dict):
            raise Refused(HTTPStatus.BAD_REQUEST, "expected a JSON object")
        return values

    def _send_json(self, value: Any, status: HTTPStatus = HTTPStatus.OK) -> None:
        data = json.dumps(value, ensure_ascii=False).encode()
        self._send(data, "application/json; charset=utf-8", {}, status)

    def _send(
        self, data: bytes, kind: str, headers: dict[str, str], status: HTTPStatus = HTTPStatus.OK
    ) -> None:
        self.send_response(status)
        safe = {
            "Content-Type": kind,
            "Content-Length": str(len(data)),
            "Cache-Control": "no-store",
            "Referrer-Policy": "no-referrer",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
        }
        for name, value in {**safe, **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)


def _places(review: Review) -> dict[Any, int]:
    return {card.pair: place for place, card in enumerate(review.cards)}


def _state(review: Review) -> dict[str, Any]:
    """How far the review is: the verdict of every card in order, and whether one can be undone."""
    said = review.verdicts
    return {
        "verdicts": [said.get(card.pair) for card in review.cards],
        "undoable": review.log.undoable in _places(review),
    }


def _card(review: Review, number: str) -> dict[str, Any]:
    if not number.isdecimal() or int(number) >= len(review.cards):
        count = len(review.cards)
        raise Refused(HTTPStatus.NOT_FOUND, f"card {number!r}, expected 0 to {count - 1}")
    card = review.cards[int(number)]
    return {
        "query_id": card.query_id,
        "query": card.query,
        "suspect": vars(card.suspect),
        "positives": [vars(passage) for passage in card.positives],
        "score": card.score,
        "first_stage_score": card.first_stage_score,
        "positive_score": card.positive_score,
        "rule": card.reason,
        "decision": card.decision,
    }
