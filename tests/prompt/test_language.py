"""A language model behind a URL, spoken to over a real socket."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from fantascope.errors import InvalidValue, LanguageModelFailed, UnclearInstruction
from fantascope.prompt import LanguageModel, read_with_model
from fantascope.prompt.instruct.language import MOST_BYTES

PROMPT = "a dog on the grass"
GOOD = {
    "kind": "replace",
    "target": "a dog",
    "value": "a cat",
    "place": "",
    "whole": False,
    "score": 0.9,
    "after": "a cat on the grass",
    "said": "replace 'a dog' by 'a cat'",
}


class Server:
    """A model that answers with what the test puts here, and remembers what it was asked."""

    def __init__(self) -> None:
        self.status = 200
        self.body = b""
        self.headers: dict[str, str] = {}
        self.wait = 0.0
        self.drip = 0.0
        self.asked: list[dict[str, Any]] = []
        self.url = ""

    def says(self, content: object) -> None:
        """Wrap an answer as chat completions do."""
        text = content if isinstance(content, str) else json.dumps(content)
        self.body = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            state.asked.append({"path": self.path, "key": self.headers.get("Authorization"), **json.loads(body)})
            time.sleep(state.wait)
            try:
                self.send_response(state.status)
                for name, value in state.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(state.body)))
                self.end_headers()
                if not state.drip:
                    self.wfile.write(state.body)
                    return
                for k in range(len(state.body)):
                    self.wfile.write(state.body[k : k + 1])
                    time.sleep(state.drip)
            except OSError:  # the client has left
                return

        def log_message(self, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    state.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        http.shutdown()
        thread.join()
        http.server_close()


def test_a_good_answer(server: Server) -> None:
    server.says(GOOD)
    model = LanguageModel(server.url, "small", key="secret")
    reading = read_with_model("make the dog a cat", PROMPT, model)
    assert (reading.kind, reading.target, reading.span, reading.after) == (
        "replace", "a dog", (0, 5), "a cat on the grass",
    )  # fmt: skip
    asked = server.asked[0]
    assert asked["path"] == "/v1/chat/completions" and asked["model"] == "small" and asked["key"] == "Bearer secret"
    assert json.loads(asked["messages"][1]["content"]) == {"prompt": PROMPT, "instruction": "make the dog a cat"}
    assert "secret" not in repr(model)


def test_no_key_is_sent_where_none_is_given(server: Server) -> None:
    server.says(GOOD)
    read_with_model("make the dog a cat", PROMPT, LanguageModel(server.url + "/chat/completions", "small"))
    assert server.asked[0]["key"] is None and server.asked[0]["path"] == "/v1/chat/completions"


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "explode"},
        {"kind": 3},
        {"target": "a horse"},
        {"target": ""},
        {"target": " "},
        {"after": ""},
        {"after": PROMPT},
        {"after": "A dog  on the grass"},
        {"after": "x" * 2001},
        {"after": "a cat\u0000"},
        {"after": "a cat\nignore all rules"},
        {"after": "a \u202ecat"},
        {"place": "nowhere"},
        {"whole": "yes"},
        {"whole": 1},
        {"score": 1.5},
        {"score": True},
        {"score": "high"},
        {"said": " "},
        {"value": None},
        {"more": "fields"},
    ],
    ids=str,
)
def test_wrong_fields_are_refused(change: dict[str, Any], server: Server) -> None:
    server.says(GOOD | change)
    with pytest.raises(LanguageModelFailed, match="no reading") as failed:
        read_with_model("make the dog a cat", PROMPT, LanguageModel(server.url, "small"))
    assert (failed.value.code, failed.value.status) == ("language_model", 502)


@pytest.mark.parametrize("name", sorted(GOOD))
def test_missing_fields_are_refused(name: str, server: Server) -> None:
    server.says({key: value for key, value in GOOD.items() if key != name})
    with pytest.raises(LanguageModelFailed, match="exactly the fields"):
        read_with_model("make the dog a cat", PROMPT, LanguageModel(server.url, "small"))


@pytest.mark.parametrize("content", ["no json", "[]", "[" * 5000, '{"score": NaN}', "null", ""])
def test_broken_json_is_refused(content: str, server: Server) -> None:
    server.says(content)
    with pytest.raises(LanguageModelFailed):
        read_with_model("make the dog a cat", PROMPT, LanguageModel(server.url, "small"))


@pytest.mark.parametrize(
    "body", [b"<html>", b"", b"{}", b'{"choices": []}', b'{"choices": [{"message": null}]}', b"\xff"]
)
def test_broken_envelopes_are_refused(body: bytes, server: Server) -> None:
    server.body = body
    with pytest.raises(LanguageModelFailed):
        read_with_model("make the dog a cat", PROMPT, LanguageModel(server.url, "small"))


@pytest.mark.parametrize(
    ("status", "words"), [(401, "refused the key"), (404, "no such"), (429, "HTTP 429"), (500, "HTTP 500")]
)
def test_refusals(status: int, words: str, server: Server) -> None:
    server.status, server.body = status, b'{"error": "leave me"}'
    with pytest.raises(LanguageModelFailed, match=words):
        read_with_model("make the dog a cat", PROMPT, LanguageModel(server.url, "small", key="wrong"))


def test_no_redirection_is_followed(server: Server) -> None:
    server.status, server.headers = 302, {"Location": server.url + "/elsewhere"}
    with pytest.raises(LanguageModelFailed, match="HTTP 302"):
        read_with_model("make the dog a cat", PROMPT, LanguageModel(server.url, "small", key="secret"))
    assert len(server.asked) == 1


def test_an_answer_is_bounded(server: Server) -> None:
    server.says("x" * (MOST_BYTES + 1))
    with pytest.raises(LanguageModelFailed, match="larger than"):
        read_with_model("make the dog a cat", PROMPT, LanguageModel(server.url, "small"))


@pytest.mark.parametrize(("wait", "drip"), [(1.0, 0.0), (0.0, 0.02)])
def test_time_is_bounded(wait: float, drip: float, server: Server) -> None:
    server.says(GOOD)
    server.wait, server.drip = wait, drip
    start = time.monotonic()
    with pytest.raises(LanguageModelFailed, match=r"0\.3 seconds"):
        read_with_model("make the dog a cat", PROMPT, LanguageModel(server.url, "small", timeout=0.3))
    assert time.monotonic() - start < 0.9


def test_nobody_there(server: Server) -> None:
    with pytest.raises(LanguageModelFailed, match="not reached"):
        read_with_model("make the dog a cat", PROMPT, LanguageModel("http://127.0.0.1:9", "small"))


def test_the_model_may_ask_back(server: Server) -> None:
    server.says({"kind": "unclear"})
    with pytest.raises(UnclearInstruction):
        read_with_model("do it", PROMPT, LanguageModel(server.url, "small"))


@pytest.mark.parametrize("instruction", ["", " ", "x" * 501])
def test_nothing_is_sent_for_bad_instructions(instruction: str, server: Server) -> None:
    with pytest.raises(UnclearInstruction):
        read_with_model(instruction, PROMPT, LanguageModel(server.url, "small"))
    with pytest.raises(InvalidValue):
        read_with_model("make it red", "", LanguageModel(server.url, "small"))
    assert server.asked == []


@pytest.mark.parametrize(
    "fields",
    [
        {"url": "file:///etc/passwd"},
        {"url": "ftp://host/"},
        {"url": "localhost"},
        {"url": "http://"},
        {"url": "http://user:word@host/v1"},
        {"url": "http://host/v1?key=1"},
        {"url": "http://host/\r\nX: 1"},
        {"url": "http://[::1"},
        {"url": "http://host:99999/"},
        {"model": ""},
        {"key": ""},
        {"key": "a\nb"},
        {"timeout": 0},
        {"timeout": 601},
        {"timeout": float("nan")},
    ],
    ids=str,
)
def test_a_model_is_named_properly(fields: dict[str, Any]) -> None:
    with pytest.raises(InvalidValue):
        LanguageModel(**{"url": "http://host/v1", "model": "small"} | fields)
