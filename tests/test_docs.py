"""The docs say what the program says."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parent.parent / "docs"


def test_the_command_line_page_is_current() -> None:
    page = runpy.run_path(str(DOCS / "make_cli.py"))["page"]()
    assert page == (DOCS / "cli.md").read_text("utf-8"), "run: python docs/make_cli.py"


def test_every_error_is_documented() -> None:
    from fantascope import errors

    page = (DOCS / "errors.md").read_text("utf-8")
    for name in errors.__all__:
        error = getattr(errors, name)
        if isinstance(error, type) and error is not errors.FantascopeError:
            assert f"| `{error.code}` | {error.status} |" in page, name
            assert error.code in (errors.__doc__ or "")
