"""The command line: it translates words to requests and events to lines, nothing else."""

from __future__ import annotations

import sys


def main() -> None:
    """Entry point of the console script `fantascope`."""
    from fantascope.cli.app import run

    sys.exit(run(sys.argv[1:]))
