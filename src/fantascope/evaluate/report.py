"""The report: every figure with its interval, number of samples, seeds, hashes and the detector's ceiling."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fantascope.evaluate.prompts import PARTS

NOT_MEASURED = "not measured: needs drawings (--sources)"

TITLES = {
    "benchmark": "Benchmark",
    "free": "Benchmark in other words",
    "whole": "Whole vocabulary",
}

MEANINGS = {
    "frechet": "Fréchet distance to real pictures of the same prompts, on the detector's features",
    "kernel": "kernel distance to the same (unbiased, 0 is none)",
    "diversity": "mean distance between pictures of one prompt",
    "diversity, real": "the same between real pictures",
    "nearest training picture": "mean distance to the nearest training picture",
    "nearest training picture, real": "the same of real pictures never trained on",
    "copied": "share nearer to a training picture than 99 of 100 real ones",
    "psnr": "autoencoder, PSNR in dB over real pictures",
    "ssim": "autoencoder, SSIM over the same",
}


def write_report(report: dict[str, Any], folder: Path) -> Path:
    """Write `report.json` and `report.md`; return the latter's path."""
    (folder / "report.json").write_text(json.dumps(report, indent=1, sort_keys=True) + "\n", "utf-8")
    path = folder / "report.md"
    path.write_text("\n".join(_lines(report)) + "\n", "utf-8")
    return path


def _lines(report: dict[str, Any]) -> Iterator[str]:
    model, detector = report["model"], report["detector"]
    yield f"# Evaluation of {model['name']}"
    yield ""
    yield (
        f"{model['title']}; {model['steps']} steps of {model['sampler']}, guidance {model['guidance']:g}, "
        f"{model['width']}x{model['height']} px, engine {model['engine']} on {model['runtime']} in "
        f"{model['precision']}, {model['threads']} threads. Weights {model['hash'][:16]}. Seed {report['seed']}. "
        f"Prompts {report.get('words', 'as written')}."
    )
    yield ""
    yield (
        f"Scored by the detector {detector['hash'][:16]} (version {detector['version']}, threshold "
        f"{detector['threshold']:g}), trained on drawing styles that the model has never seen. The ceiling is what the "
        "same procedure says of real pictures of the "
        f"same prompts ({detector['ceiling_from']}). Intervals are 95 %."
    )
    for name, part in report["lists"].items():
        yield from _table(name, part)
    yield from _figures("Distances", report["distances"])
    yield from _figures("Autoencoder", report["autoencoder"])
    yield "## Speed"
    yield ""
    yield f"{_number(report['seconds'])} seconds a picture" if report["seconds"] else "Nothing was painted in this run."
    yield ""
    yield "![Some pictures of every part](grid.png)"
    yield ""
    yield "![A hundred pictures that nobody picked](random.png)"


def _table(name: str, part: dict[str, Any]) -> Iterator[str]:
    yield ""
    yield f"## {TITLES[name]}"
    yield ""
    yield "| part | passed | 95 % | pictures | prompts | ceiling | share of it |"
    yield "|---|---|---|---|---|---|---|"
    for row in part["parts"]:
        ceiling, value = row["ceiling"], row["value"]
        share = f"{100 * value / ceiling['value']:.0f} %" if ceiling and ceiling["value"] > 0 else "–"
        said = f"{ceiling['value']:.3f} ({ceiling['low']:.3f}–{ceiling['high']:.3f})" if ceiling else "not measured"
        span = f"{row['low']:.3f}–{row['high']:.3f}"
        yield f"| {row['part']} | {value:.3f} | {span} | {row['n']} | {row['prompts']} | {said} | {share} |"
    yield ""


def _figures(title: str, figures: dict[str, Any] | None) -> Iterator[str]:
    yield f"## {title}"
    yield ""
    if figures is None:
        yield f"{NOT_MEASURED[0].upper()}{NOT_MEASURED[1:]}."
    elif not figures:
        yield "Not measured: this model shows no autoencoder of this size."
    else:
        yield "| figure | value | 95 % | n |"
        yield "|---|---|---|---|"
        for name, figure in figures.items():
            span = f"{figure['low']:.4g}–{figure['high']:.4g}"
            yield f"| {MEANINGS[name]} | {figure['value']:.4g} | {span} | {figure['n']} |"
    yield ""


def _number(figure: dict[str, float]) -> str:
    return f"{figure['value']:.3f} ({figure['low']:.3f}–{figure['high']:.3f}, {figure['n']} batches)"


def in_order(parts: dict[str, Any]) -> dict[str, Any]:
    """Parts in GenEval's order, others after them."""
    return {part: parts[part] for part in [*PARTS, *(key for key in parts if key not in PARTS)] if part in parts}
