"""What expanding a prompt does to the benchmark's score: whether what was asked for is still painted.

    python bench/expand.py --prompts 60

Paints so many prompts of the benchmark of `fantascope eval` as they are and expanded (`--strength`, seed 0), from the
same noise, has the detector score both, and prints both scores with their 95 % intervals, and the share of expanded
prompts that begin with the prompt word for word.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

from fantascope.data.vocabulary import read_vocabulary
from fantascope.engines.detector import Detector
from fantascope.evaluate import run
from fantascope.evaluate.measure import painted
from fantascope.evaluate.paint import Sample
from fantascope.request import Imagine
from fantascope.studio import Studio
from fantascope.wording import expanded


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=60)
    parser.add_argument("--strength", type=float, default=0.6)
    parser.add_argument("--out", type=Path, help="keep the pictures here")
    args = parser.parse_args()
    with Studio() as studio, tempfile.TemporaryDirectory() as scratch:
        job = studio.resolve(Imagine(prompt="-", upscale=1, seed=0), typed=False)
        detector = Detector.load(studio.settings)
        wanted = run.Wanted(("benchmark",), args.prompts, 1)
        plain = run.lists_of(run.prompts_of(detector.labels, read_vocabulary(), wanted), wanted)["benchmark"]
        longer = [
            replace(
                s, asked=replace(s.asked, prompt=expanded(s.asked.prompt, args.strength, 0, studio, job.spec).prompt)
            )
            for s in plain
        ]
        kept = sum(b.asked.prompt.startswith(a.asked.prompt) for a, b in zip(plain, longer, strict=True)) / len(plain)
        print(f"{len(plain)} prompts; {kept:.0%} of the expanded ones begin with the prompt word for word")
        print(f"for example: {longer[0].asked.prompt}")
        with studio.engines.lease(job.spec, job.choice) as engine:
            for name, samples in (("as written", plain), ("expanded", longer)):
                folder = (args.out if args.out is not None else Path(scratch)) / name.replace(" ", "-")
                facts = run.facts_of(job.request, job.spec, wanted) | {"prompts": name, "strength": args.strength}
                for _ in run.paint(engine, job.request, {"benchmark": samples}, folder, facts):
                    pass
                _score(name, detector, samples, folder)


def _score(name: str, detector: Detector, samples: list[Sample], folder: Path) -> None:
    overall = painted(detector, samples, folder, lambda *_: None).overall()
    print(f"{name:<11} {overall.value:.3f} ({overall.low:.3f}-{overall.high:.3f})")


if __name__ == "__main__":
    main()
