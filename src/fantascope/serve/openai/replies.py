"""Errors as the OpenAI API says them, so that its clients raise what they raise there."""

from __future__ import annotations

import re
from typing import Any

from fantascope.errors import FantascopeError

INVALID, SERVER, RATE, QUOTA = "invalid_request_error", "server_error", "rate_limit_error", "insufficient_quota"
BLOCKED = "image_generation_user_error"

SAID: dict[str, tuple[int | None, str, str]] = {
    "not_authorised": (401, INVALID, "invalid_api_key"),
    "insufficient_credit": (429, QUOTA, "insufficient_quota"),
    "too_many": (429, RATE, "rate_limit_exceeded"),
    "policy_refused": (400, INVALID, "content_policy_violation"),
    "unclear_instruction": (400, INVALID, "unclear_instruction"),
    "unsupported": (400, INVALID, "unsupported_value"),
    "missing_extra": (400, INVALID, "unsupported_value"),
    "unknown_name": (400, INVALID, "invalid_value"),
    "invalid_request": (400, INVALID, "invalid_value"),
    "invalid_picture": (400, INVALID, "invalid_image_file"),
}
"""Code of ours -> status (None: as it is), type and code of the wire. All others follow their status."""

PARAMS = {
    "instruction": "prompt",
    "picture": "image",
    "pictures": "image",
    "width": "size",
    "height": "size",
    "upscale": "size",
    "factor": "size",
    "steps": "quality",
    "format": "output_format",
    "quality": "output_compression",
    "strength": "input_fidelity",
}
"""Field of a request of ours -> field of the wire."""


OPTIONS = {"--format": "output_format", "--quality": "output_compression", "--mask FILE": "a mask"}
"""Options of the command line in hints -> what they are called here."""

_OPTION = re.compile("|".join(map(re.escape, OPTIONS)))


class Blocked(FantascopeError):
    """A refusal of the policy, for a model whose clients know it by another code."""

    code, status = "policy_refused", 400

    def __init__(self, error: FantascopeError) -> None:
        super().__init__(error.message, param=error.param, hint=error.hint)
        self._facts = error.as_dict()

    def as_dict(self) -> dict[str, Any]:
        return dict(self._facts)


def error_reply(error: FantascopeError) -> tuple[int, dict[str, Any]]:
    """Return status and body of an error: `{"error": {message, type, param, code, …}}`.

    What we know more of it stands beside: `hint`; of a refusal `rule`, `score`, `threshold`, `words`, `offer`; of an
    instruction that was not understood `readings`.
    """
    facts = error.as_dict()
    status, kind, code = SAID.get(error.code, (None, INVALID if error.status < 500 else SERVER, error.code))
    code = getattr(error, "said", "model_not_found" if error.status == 404 and error.param == "model" else code)
    if isinstance(error, Blocked):
        kind, code = BLOCKED, "moderation_blocked"
    param = error.param if hasattr(error, "said") else PARAMS.get(error.param or "", error.param)
    told: dict[str, Any] = {"message": error.message, "type": kind, "param": param, "code": code}
    more = {name: value for name, value in facts.items() if name in ("hint", "readings", "at", "near") and value}
    if "hint" in more:
        more["hint"] = _OPTION.sub(lambda found: OPTIONS[found[0]], more["hint"])
    verdict = facts.get("verdict")
    if verdict:
        names = ("rule", "score", "threshold", "subject", "words", "offer")
        more |= {name: verdict[name] for name in names if verdict.get(name) not in (None, "", [])}
    return error.status if status is None else status, {"error": told | more}
