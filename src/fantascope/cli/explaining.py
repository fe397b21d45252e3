"""The pictures that `fantascope prompt explain` paints, whole and without each part."""

from __future__ import annotations

from pathlib import Path

from fantascope.cli.lines import emit


def paint_parts(prompt: str, model: str | None, seed: int, folder: Path, as_json: bool) -> None:
    """Paint a prompt whole, and once without each of its parts, from the same noise; all on one labelled sheet.

    Raises as painting does; `InvalidValue` where there is only one part, so nothing can be left out.
    """
    from contextlib import closing

    from fantascope.cli.show import place, watched
    from fantascope.errors import InvalidValue
    from fantascope.prompt.anatomy import PARTS, parse_anatomy
    from fantascope.request import Imagine
    from fantascope.studio import Studio
    from fantascope.wording import lexicon

    anatomy = parse_anatomy(prompt, lexicon())
    tries = [("whole", prompt)]
    tries += [(f"without {part}", anatomy.without(part).prompt()) for part in PARTS if anatomy.of(part)]
    tries = [(label, text) for label, text in tries if text.strip()]
    if len(tries) < 3:
        raise InvalidValue("The prompt has one part only: nothing can be left out.", param="pictures")
    made = []
    with Studio() as studio:
        for label, text in tries:
            with closing(studio.run(Imagine(prompt=text, model=model, seed=seed))) as events:  # type: ignore[type-var]
                for artifact in watched(events, as_json):
                    made.append(artifact)
                    path = place(studio, artifact, folder / f"{label.replace(' ', '-')}{artifact.suffix}")
                    _say(label, text, path, as_json)
        labels = [label if label == "whole" else f"{label}: {', '.join(anatomy.of(label[8:]))}" for label, _ in tries]
        sheet = studio.sheet(made, labels)
        _say("sheet", prompt, place(studio, sheet, folder / f"sheet{sheet.suffix}"), as_json)


def _say(label: str, text: str, path: Path, as_json: bool) -> None:
    if as_json:
        emit("painted", {"label": label, "prompt": text, "path": path})
    else:
        print(f"{path}  {label}", flush=True)
