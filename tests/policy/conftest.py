"""The shipped policy and the shipped text encoder."""

from __future__ import annotations

import pytest

from fantascope.engines.words import shared_words
from fantascope.policy import Policy
from fantascope.policy.meaning import Embed
from fantascope.settings import Settings


@pytest.fixture(scope="session")
def embed(tmp_path_factory: pytest.TempPathFactory) -> Embed:
    """The embedded checkpoint's text encoder."""
    return shared_words(Settings(home=tmp_path_factory.mktemp("encoder"), threads=1)).embed


@pytest.fixture(scope="session")
def policy() -> Policy:
    return Policy.load()
