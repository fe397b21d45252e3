"""The shipped text encoder, and the rows of instructions."""

from __future__ import annotations

import pytest

from fantascope.engines.words import shared_words
from fantascope.prompt import Embed
from fantascope.settings import Settings


@pytest.fixture(scope="session")
def embed(tmp_path_factory: pytest.TempPathFactory) -> Embed:
    """The embedded checkpoint's text encoder."""
    return shared_words(Settings(home=tmp_path_factory.mktemp("encoder"), threads=1)).embed
