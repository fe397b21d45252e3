"""Errors as our own wire says them."""

from __future__ import annotations

from typing import Any

from fantascope.errors import FantascopeError, Unsupported


def error_reply(error: FantascopeError) -> tuple[int, dict[str, Any]]:
    """Return status and body of an error: `{"error": {code, status, message, param, hint, …}}`.

    Where a field asks for what cannot go together, as an engine for a model that it does not run, the request is wrong,
    not the server.
    """
    status = 400 if error.code == Unsupported.code and error.param is not None else error.status
    return status, {"error": _sendable(error.as_dict() | {"status": status})}


def _sendable(value: Any) -> Any:
    """Return plain data whose texts can be sent: what was no text in a request is shown as `?`."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_sendable(key): _sendable(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sendable(one) for one in value]
    return value
