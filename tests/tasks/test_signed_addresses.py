"""Data at addresses that bear a key: they are read, and the key is written down nowhere."""

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from strop.artifacts.manifest import ArtifactRef
from strop.flows.import_data import import_data
from strop.pipeline.config import Config
from strop.pipeline.data.importing import Request
from strop.pipeline.data.locations import location
from strop.pipeline.errors import InputError
from strop.tasks.import_data import import_request
from strop.tasks.stage import Place

KEYS = ("X-Amz-Signature=first-key", "X-Amz-Signature=test-key")
RULE = {"dev_share": 0.3, "seed": 1}


class Guarded(SimpleHTTPRequestHandler):
    """Gives files to those who have a key."""

    def do_GET(self) -> None:
        if self.path.endswith(KEYS):
            super().do_GET()
        else:
            self.send_error(403)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A file of FlagEmbedding's format behind a server that asks for a key."""
    folder = tmp_path / "served"
    folder.mkdir()
    rows = [{"query": f"{n} {'kgmr'[n % 4] * (n + 1)}", "pos": [f"about {n}"]} for n in range(12)]
    (folder / "d.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Guarded, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/d.jsonl"
        server.shutdown()


def request_of(address: str) -> Request:
    return Request.checked("flagembedding", address, [], RULE)


def test_a_key_is_no_part_of_the_id_and_is_written_down_nowhere(
    address: str, tmp_path: Path
) -> None:
    made = set()
    for number, key in enumerate(KEYS):
        request = request_of(f"{address}?{key}")
        place = Place(str(tmp_path / f"store {number}"), "import", request.path.name)
        made.add(import_request.fn(place, request))
        told = import_data.serialize_parameters({"request": request, "store": place.store})
        assert str(import_data.flow_run_name).format(request=request) == "import d.jsonl"
        assert "-key" not in f"{json.dumps(told)} {request} {request.path} {place}"
        written = [path.read_bytes() for path in tmp_path.rglob("store */**/*") if path.is_file()]
        assert written
        assert not any(b"-key" in data for data in written)
    (ref,) = made
    assert isinstance(ref, ArtifactRef)
    assert place.open().manifest(ref).summary["source"] == "d.jsonl"


def test_a_key_that_is_refused_is_not_repeated(address: str) -> None:
    with pytest.raises(InputError) as caught:
        request_of(f"{address}?X-Amz-Signature=wrong").files()
    assert f"{address}: cannot be read (403" in str(caught.value)
    assert "wrong" not in str(caught.value)


def test_what_follows_a_question_mark_in_a_files_name_is_its_name() -> None:
    assert location("data/what?.jsonl#1").name == "what?.jsonl#1"
    assert location("memory://a/what?.jsonl").name == "what?.jsonl"
    inside = location("https://host/data?key") / "corpus.jsonl"
    assert str(inside) == "https://host/data/corpus.jsonl"
    assert inside.query.get_secret_value() == "?key"


@pytest.mark.parametrize("scheme", ["https", "simplecache::ftp"])
def test_a_password_in_an_address_is_refused_and_not_repeated(scheme: str) -> None:
    with pytest.raises(InputError, match="expected no password in the address") as caught:
        location(f"{scheme}://user:secret@host/d.jsonl")
    assert "secret" not in str(caught.value)
    for address in ("abfs://container@account/d.jsonl", "github://owner:name@main/d.jsonl"):
        assert str(location(address)) == address


@pytest.mark.parametrize("address", ["https://host/d.jsonl?key", "ftp://user:key@host/d.jsonl"])
def test_a_config_takes_no_address_that_it_must_not_write_down(address: str) -> None:
    with pytest.raises(ValueError, match="has a password or a query in its address"):
        Config(dataset=address)
