"""The command line: it translates words to requests and events to lines, nothing else."""

from __future__ import annotations

import gc
import os
import sys


def main() -> None:
    """Entry point of the console script `fantascope`."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    gc.set_threshold(100_000, 20, 20)  # a start makes many objects and drops few: fewer collections, sooner ready
    try:
        from fantascope.cli.app import run

        code = run(sys.argv[1:])
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = 130
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)  # everything is closed; taking native libraries apart would cost another tenth of a second
