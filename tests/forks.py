"""Children that may be killed: one process loads torch and what trains, once, and forks a child for every job.

`python -m tests.forks` reads a job a line, `["package.module:function", argument, …]` as JSON, and answers with the
exit code of the child that ran it; a negative one is the signal that ended it.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any

LOADED = ("torch", "diffusers", "transformers", "fantascope.train.base", "fantascope.personal.teach")


class Forks:
    """The process, started with the first job."""

    def __init__(self, errors: Path) -> None:
        self.errors = errors
        self.process: subprocess.Popen[str] | None = None

    def __call__(self, call: str, *arguments: Any) -> int:
        """Run `package.module:function` with arguments that JSON can hold in a child; return how it ended."""
        with self.errors.open("ab") as told:
            self.process = self.process or subprocess.Popen(
                [sys.executable, "-m", "tests.forks"],
                cwd=Path(__file__).parents[1],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=told,
                text=True,
                bufsize=1,
            )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([call, *arguments], default=str) + "\n")
        answer = self.process.stdout.readline()
        assert answer, f"the process ended: {self.errors.read_text('utf-8')[-4000:]}"
        code = int(answer)
        assert code <= 0, f"{call} failed: {self.errors.read_text('utf-8')[-4000:]}"
        return code

    def close(self) -> None:
        """End the process."""
        if self.process is not None:
            self.process.communicate()


def _run(call: str, *arguments: Any) -> int:
    """Run a job in a child; return its exit code, or minus the signal that ended it."""
    child = os.fork()
    if child == 0:
        try:
            os.dup2(2, 1)  # the answers' pipe is the parent's alone
            module, _, name = call.partition(":")
            getattr(importlib.import_module(module), name)(*arguments)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def main() -> None:
    """Load what is heavy on one thread, then serve jobs until the input ends."""
    for name in LOADED:
        importlib.import_module(name)
    sys.modules["torch"].set_num_threads(1)
    for line in sys.stdin:
        print(_run(*json.loads(line)), flush=True)


if __name__ == "__main__":
    main()
