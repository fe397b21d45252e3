"""What the path costs beside the engine: resolve, judge, hold, mark, describe, sign, keep.

python bench/path.py [ROUNDS]
"""

from __future__ import annotations

import statistics
import sys

from tools import HERE, Worker, environment, home, warn_if_busy

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 20


def main() -> None:
    warn_if_busy()
    with home() as place:
        worker = Worker("path", [sys.executable, str(HERE / "ours.py"), "path"], environment(place))
        for n, size in ((1, 128), (1, 512), (4, 512)):
            worker.ask(n=n, size=size)
            runs = [worker.ask(n=n, size=size) for _ in range(ROUNDS)]
            total = statistics.median(run["total"] for run in runs)
            rest = statistics.median(run["total"] - run["engine"] for run in runs)
            share = statistics.median((run["total"] - run["engine"]) / run["total"] for run in runs)
            print(
                f"{n} picture(s) at {size}: {total * 1000:6.0f} ms in all, {rest * 1000:5.1f} ms beside the engine "
                f"({share:.1%}), {rest * 1000 / n:5.1f} ms a picture"
            )
        worker.close()


if __name__ == "__main__":
    main()
