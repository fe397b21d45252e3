"""Errors as the wire says them, the events of a stream, and addresses of pictures: without a server."""

from __future__ import annotations

import base64
import http.server
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from fantascope import errors
from fantascope.receipt import Verdict
from fantascope.serve.fetch import FieldError, fetched
from fantascope.serve.job import revived
from fantascope.serve.openai.answers import Moments, patches
from fantascope.serve.openai.replies import Blocked, error_reply
from fantascope.serve.openai.uploads import artifact_of, file_id

VERDICT = Verdict(
    allowed=False,
    rule="violence",
    score=0.9,
    threshold=0.5,
    reason="No.",
    subject="prompt",
    words=("gore",),
    offer="Tea.",
)
REFUSED = errors.PolicyRefused(VERDICT, param="prompt")


@pytest.mark.parametrize(
    ("error", "status", "kind", "code", "param"),
    [
        (errors.NotAuthorised("no"), 401, "invalid_request_error", "invalid_api_key", None),
        (errors.CreditError("no"), 429, "insufficient_quota", "insufficient_quota", None),
        (errors.TooMany("no"), 429, "rate_limit_error", "rate_limit_exceeded", None),
        (REFUSED, 400, "invalid_request_error", "content_policy_violation", "prompt"),
        (Blocked(REFUSED), 400, "image_generation_user_error", "moderation_blocked", "prompt"),
        (
            errors.InvalidValue("no", param="quality"),
            400,
            "invalid_request_error",
            "invalid_value",
            "output_compression",
        ),
        (FieldError("no", "quality"), 400, "invalid_request_error", "invalid_value", "quality"),
        (errors.InvalidPicture("no", param="picture"), 400, "invalid_request_error", "invalid_image_file", "image"),
        (errors.UnclearInstruction("no"), 400, "invalid_request_error", "unclear_instruction", "prompt"),
        (errors.NotFound("no", param="model"), 404, "invalid_request_error", "model_not_found", "model"),
        (errors.NotFound("no", param="id"), 404, "invalid_request_error", "not_found", "id"),
        (errors.Unsupported("no", param="task"), 400, "invalid_request_error", "unsupported_value", "task"),
        (errors.TooLarge("no"), 413, "invalid_request_error", "too_large", None),
        (errors.Stopping("no"), 503, "server_error", "stopping", None),
        (errors.StorageError("no"), 507, "server_error", "storage_error", None),
        (errors.FantascopeError("no"), 500, "server_error", "error", None),
    ],
)
def test_an_error(error: errors.FantascopeError, status: int, kind: str, code: str, param: str | None) -> None:
    for one in (error, error if hasattr(error, "said") or isinstance(error, Blocked) else revived(error.as_dict())):
        found, body = error_reply(one)
        said = body["error"]
        assert (found, said["type"], said["code"], said["param"]) == (status, kind, code, param)
        assert said["message"] == error.message


def test_a_refusal_says_which_rule_and_what_instead() -> None:
    for error in (REFUSED, Blocked(REFUSED), Blocked(revived(REFUSED.as_dict()))):
        said = error_reply(error)[1]["error"]
        facts = {name: said[name] for name in ("rule", "score", "threshold", "words", "offer", "hint")}
        assert facts["rule"] == "violence" and facts["score"] == 0.9 and facts["threshold"] == 0.5
        assert list(facts["words"]) == ["gore"] and facts["offer"] == facts["hint"] == "Tea."


def test_hints_speak_of_fields_not_of_options() -> None:
    error = errors.InvalidValue("no", param="format", hint="Use --format png, or --format webp --quality 100.")
    said = error_reply(error)[1]["error"]
    assert said["hint"] == "Use output_format png, or output_format webp output_compression 100."


@pytest.mark.parametrize(
    ("wanted", "steps", "shown"),
    [
        (0, 20, []),
        (1, 20, [10]),
        (2, 20, [7, 14]),
        (3, 20, [5, 10, 15]),
        (3, 4, [1, 2, 3]),
        (3, 2, [1, 2]),
        (3, 1, [1]),
    ],
)
def test_previews_are_shown_evenly_and_as_many_as_the_steps_allow(wanted: int, steps: int, shown: list[int]) -> None:
    moments = Moments(wanted)
    assert [step for step in range(steps + 1) if moments.now(step, steps)] == shown


def test_previews_that_come_late_are_made_up_for() -> None:
    moments = Moments(3)
    assert [step for step in (0, 11, 12, 13, 20) if moments.now(step, 20)] == [11, 12, 20]
    assert patches((1024, 1024)) == 4096 and patches((17, 16)) == 2


def test_file_names_lead_back_to_artifacts() -> None:
    artifact = "sha256:" + "0a" * 32
    assert artifact_of(file_id(artifact)) == artifact
    for wrong in ("file-", "file-" + "0A" * 32, "0a" * 32, "file-../../etc/passwd", "file-" + "0a" * 31):
        with pytest.raises(errors.NotFound):
            artifact_of(wrong)


class _Pictures(http.server.BaseHTTPRequestHandler):
    asked: list[str] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        moved = self.path == "/moved"
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", "/picture")
        self.end_headers()
        self.wfile.write(b"bytes" * (1000 if self.path == "/large" else 1))

    def log_message(self, *_: Any) -> None:
        return


@pytest.fixture
def elsewhere() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Pictures)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_only_listed_hosts_are_asked(elsewhere: str) -> None:
    assert fetched(f"http://{elsewhere}/picture?a=1", [elsewhere.upper()], 100, "image") == b"bytes"
    seen = len(_Pictures.asked)
    for url in (
        f"http://{elsewhere}/picture",
        "http://169.254.169.254/latest",
        "file:///etc/passwd",
        "ftp://example.org/x.png",
        "http://[::1",
        "http:///x",
        "no address",
        "",
    ):
        with pytest.raises(FieldError) as caught:
            fetched(url, ["example.org"], 100, "image")
        assert caught.value.param == "image"
    with pytest.raises(FieldError):
        fetched(f"http://{elsewhere}@127.0.0.1/x", [elsewhere], 100, "image")
    assert len(_Pictures.asked) == seen
    for path in ("/moved", "/large"):
        with pytest.raises(FieldError):
            fetched(f"http://{elsewhere}{path}", [elsewhere], 100, "image")
    assert _Pictures.asked[-2:] == ["/moved", "/large"]
    with pytest.raises(FieldError, match="did not answer"):
        fetched("http://127.0.0.1:1/x", ["127.0.0.1:1"], 100, "image")


def test_a_data_url_carries_its_bytes() -> None:
    data = bytes(range(200))
    url = "data:image/png;base64," + base64.b64encode(data).decode()
    assert fetched(url, [], 200, "image") == data
    assert fetched("data:,a%20b", [], 200, "image") == b"a b"
    for wrong in ("data:image/png;base64,???", "data:image/png", "data:" + "x" * 500, url + "AAAA" * 100):
        with pytest.raises(FieldError):
            fetched(wrong, [], 200, "image")
