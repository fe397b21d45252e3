"""No path of this machine leaves it in a text."""

from __future__ import annotations

from pathlib import Path

import fantascope
from fantascope.errors import FantascopeError

HOME, PACKAGE = "FANTASCOPE_HOME", "fantascope"
_HERE = str(Path(fantascope.__file__).parent)


def nowhere(text: str, home: Path) -> str:
    """Return a text in which the studio's folder is called by its setting, and the package's by its name."""
    return text.replace(str(home), HOME).replace(_HERE, PACKAGE)


def unplaced(error: FantascopeError, home: Path) -> FantascopeError:
    """Return the same error, whose texts do not say where on this machine something is."""
    error.message = nowhere(error.message, home)
    if error.hint is not None:
        error.hint = nowhere(error.hint, home)
    return error
