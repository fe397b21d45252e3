"""Pictures that are named by an address: a data URL, or http(s) from a host that the operator listed."""

from __future__ import annotations

import base64
import binascii
import http.client
import re
import ssl
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes, urlsplit

from fantascope.errors import InvalidValue

SECONDS = 10.0
"""Patience with another server, for every byte."""

_DATA = re.compile(r"data:([a-zA-Z0-9.+/-]*)((?:;[a-zA-Z0-9=._-]+)*),", re.ASCII)


class FieldError(InvalidValue):
    """A field is wrong. `said` is the code by which OpenAI's API says it; the other wires have no such."""

    def __init__(self, message: str, param: str, said: str = "invalid_value", *, hint: str | None = None) -> None:
        super().__init__(message, param=param, hint=hint)
        self.said = said


def fetched(url: str, hosts: Sequence[str], most: int, param: str) -> bytes:
    """Return the bytes at an address; nothing is asked of a host that is not listed, and no redirect is followed.

    Args:
        hosts: Names (`example.org`, or `example.org:8443`) from which pictures may be fetched.
        most: Bytes that are taken.
        param: Field that holds the address.

    Raises:
        FieldError: the address is of another kind, or of another host, or there is no picture at it.
    """
    if url[:5].lower() == "data:":
        return _carried(url, most, param)
    try:
        parts = urlsplit(url)
        host, port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise FieldError("This is no address.", param, "invalid_image_url") from None
    if parts.scheme not in ("http", "https") or not host:
        raise FieldError("A picture is named by a data: URL, or by http(s).", param, "invalid_image_url")
    named = host if port is None else f"{host}:{port}"
    if named not in {name.lower() for name in hosts} or parts.username is not None:
        raise FieldError(
            f"This server fetches nothing from {named[:100]!r}.",
            param,
            "invalid_image_url",
            hint="Send the picture itself as a data: URL; the operator lists hosts with --fetch-host.",
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return _got(parts.scheme, host, port, path, most, param)


def _carried(url: str, most: int, param: str) -> bytes:
    """Return what a data URL carries."""
    head = _DATA.match(url[:256])
    if head is None:
        raise FieldError("This is no data: URL.", param, "invalid_image_url")
    body = url[head.end() :]
    if len(body) > most * 4 // 3 + 4:
        raise _large(most, param)
    try:
        if head[2].lower().endswith(";base64"):
            return base64.b64decode(unquote_to_bytes(body) if "%" in body else body, validate=True)
        return unquote_to_bytes(body)
    except (binascii.Error, ValueError):
        raise FieldError("The data: URL is no base64.", param, "invalid_image_url") from None


def _got(scheme: str, host: str, port: int | None, path: str, most: int, param: str) -> bytes:
    """Ask a listed host for a file."""
    secure = ssl.create_default_context() if scheme == "https" else None
    link = (
        http.client.HTTPSConnection(host, port, timeout=SECONDS, context=secure)
        if secure is not None
        else http.client.HTTPConnection(host, port, timeout=SECONDS)
    )
    try:
        link.request("GET", path, headers={"Accept": "image/*", "User-Agent": "fantascope"})
        reply = link.getresponse()
        data = reply.read(most + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FieldError(f"{host} did not answer: {type(error).__name__}.", param, "invalid_image_url") from None
    finally:
        link.close()
    if reply.status != 200:
        raise FieldError(f"{host} answered with status {reply.status}.", param, "invalid_image_url")
    if len(data) > most:
        raise _large(most, param)
    return data


def _large(most: int, param: str) -> FieldError:
    return FieldError(f"A picture file has at most {most} bytes; this one has more.", param)
