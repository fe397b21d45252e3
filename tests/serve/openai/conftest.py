"""The official client at the real server. Names that end in `-echo` follow the rules of the model they begin with, and
are painted by the echo engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import openai
import pytest

NAMES = {"dall-e-2-echo": "dall-e-2", "dall-e-3-echo": "dall-e-3", "gpt-image-1-echo": "gpt-image"}


@pytest.fixture(scope="session")
def named(server: Any) -> Any:
    """The server, with names of its own."""
    rows = [f'[models."{name}"]\nrules = "{rules}"\nspec = "echo"\n' for name, rules in NAMES.items()]
    (server.home / "serve.toml").write_text("".join(rows))
    return server


@pytest.fixture(scope="session")
def client(named: Any) -> Iterator[openai.OpenAI]:
    """A client of the operator's."""
    with openai.OpenAI(base_url=f"{named.url}/v1", api_key=named.token, max_retries=0, timeout=120) as one:
        yield one


@pytest.fixture(scope="session")
def client_of(named: Any) -> Callable[[str], openai.OpenAI]:
    """Return a client for a token."""

    def made(token: str) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{named.url}/v1", api_key=token, max_retries=0, timeout=120)

    return made
