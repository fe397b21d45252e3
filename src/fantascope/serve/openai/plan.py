"""From what was asked to requests: one that paints, and what is done with its pictures after it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fantascope.errors import UnclearInstruction
from fantascope.request import Blend, Cutout, Edit, Fill, Imagine, Request, Upscale, Vary
from fantascope.serve.fetch import FieldError
from fantascope.serve.openai.asked import Asked
from fantascope.serve.openai.rules import Size
from fantascope.serve.openai.sizes import MOST, fit
from fantascope.serve.openai.table import Table
from fantascope.serve.openai.uploads import Sent
from fantascope.spec import Spec

MOST_BLENDED = 5

COMMANDS = "add|change|delete|erase|get rid|give|insert|make|move|place|put|recolou?r|remove|replace|set|swap|take|turn"
_COMMAND = re.compile(rf"\s*(please\s+)?({COMMANDS})\b", re.IGNORECASE)
"""How an instruction begins: a description of a picture does not."""

Understood = Callable[[Request], bool]


@dataclass(frozen=True)
class Plan:
    """What is done: the request that paints, whether the thing is cut out of its pictures, the factor by which they are
    enlarged then, and what the last of these writes."""

    first: Request
    cut: bool = False
    factor: float = 1.0
    file: tuple[tuple[str, Any], ...] = ()

    @property
    def stages(self) -> list[Callable[[str], Request]]:
        """What makes a request of a picture of the stage before."""
        model, file = getattr(self.first, "model", None), dict(self.file)
        found: list[Callable[[str], Request]] = []
        if self.cut:
            form = file if self.factor == 1 else {"format": "png"}
            found.append(lambda picture: Cutout(picture=picture, model=model, **form))
        if self.factor != 1:
            found.append(lambda picture: Upscale(picture=picture, factor=self.factor, model=model, **file))
        return found


def plan_generation(asked: Asked, spec: Spec, table: Table) -> Plan:
    """Return what is done for a prompt: painted, or painted and cut out where the background is to be transparent.

    Raises:
        FieldError: the model cannot make the size; the message names those that it can.
    """
    task = Cutout if asked.background == "transparent" else Imagine
    size, factor = _painted_size(asked, spec)
    return _planned(asked, spec, table, task, factor, prompt=asked.prompt, **size)


def plan_variation(asked: Asked, spec: Spec, table: Table, picture: Sent) -> Plan:
    """Return what is done for another picture like this one."""
    return _planned(asked, spec, table, Vary, _enlarged(asked, picture), picture=picture.id)


def plan_edit(
    asked: Asked, spec: Spec, table: Table, pictures: Sequence[Sent], mask: str | None, understood: Understood
) -> Plan:
    """Return what is done with pictures and a prompt.

    One picture and no mask: the prompt is an instruction. With a mask (for dall-e-2 also a transparent part of the
    picture) it says what the whole picture shows, and the masked part is painted so; an instruction that begins like
    one and is understood is followed inside the mask. Several pictures are blended.

    Args:
        understood: Says whether the studio can resolve a request: whether an instruction is understood.

    Raises:
        FieldError: what is sent cannot go together.
    """
    assert asked.prompt is not None
    first = pictures[0]
    if len(pictures) > 1:
        return _blended(asked, spec, table, pictures, mask)
    if asked.background == "opaque" and first.clear and not (mask is None and asked.rules.square):
        raise FieldError("The picture has transparent parts, and an edit leaves them as they are.", "background")
    factor = _enlarged(asked, first)
    told = {"picture": first.id, "mask": mask}
    where = mask is not None or (asked.rules.square and first.clear)
    if where and not spec.follows:
        edit = _planned(asked, spec, table, Edit, factor, instruction=asked.prompt, **told)
        if mask is not None and _COMMAND.match(asked.prompt) and understood(edit.first):
            return edit
        return _planned(asked, spec, table, Fill, factor, prompt=asked.prompt, **told)
    return _planned(asked, spec, table, Edit, factor, instruction=asked.prompt, **told)


def smaller(asked: Asked, picture: Sent) -> Size | None:
    """Return the size to which a picture has to be brought first, where a smaller result is asked for.

    Raises:
        FieldError: it was made here: a smaller copy would lose its record.
    """
    if asked.size is None or not _same_shape(asked.size, picture.size) or asked.size[0] >= picture.width:
        return None
    if picture.made:
        raise FieldError(
            f"This picture was made here with {picture.width}x{picture.height} pixels, and a smaller copy would lose "
            "its record: leave 'size' out.",
            "size",
        )
    return asked.size


def _blended(asked: Asked, spec: Spec, table: Table, pictures: Sequence[Sent], mask: str | None) -> Plan:
    if mask is not None:
        raise FieldError("A mask says where one picture is edited; several pictures are sent.", "mask")
    if len(pictures) > MOST_BLENDED:
        raise FieldError(f"Several pictures are blended, {MOST_BLENDED} at most; {len(pictures)} are sent.", "image")
    if _COMMAND.match(asked.prompt or ""):
        raise FieldError(
            "Several pictures are blended into one, and the prompt says what it shows; an instruction is followed in "
            "one picture.",
            "prompt",
        )
    size, factor = _painted_size(asked, spec)
    usual = spec.defaults.of("blend").get("strength")
    share = table.fidelity[asked.fidelity]
    kept = {"strength": round(min(1.0, usual * share), 3)} if share != 1 and usual is not None else {}
    given = tuple(picture.id for picture in pictures)
    return _planned(asked, spec, table, Blend, factor, prompt=asked.prompt, pictures=given, **size, **kept)


def _planned(asked: Asked, spec: Spec, table: Table, task: type[Request], factor: float, **told: Any) -> Plan:
    """Return the plan for a task: what every task has in common, and the files where it is the last stage."""
    file = {"format": asked.format, "quality": asked.compression}
    kept = {name: value for name, value in file.items() if value is not None}
    cut = asked.background == "transparent" and task is not Cutout
    last = not cut and factor == 1
    usual = spec.defaults.of(task.model_fields["task"].default)
    how: dict[str, Any] = {"steps": table.steps(asked.quality, usual["steps"])}
    if asked.style is not None and table.style[asked.style] != 1 and spec.guided and usual["guidance"] > 1:
        how["guidance"] = round(1 + (usual["guidance"] - 1) * table.style[asked.style], 3)
    fields = told | how | {"n": asked.n, "model": asked.known.spec} | (kept if last else {"format": "png"})
    request = task(**{name: value for name, value in fields.items() if value is not None})
    if asked.stream and asked.partial:
        request = request.replace(preview=True)
    return Plan(request, cut, factor, tuple(kept.items()))


def _painted_size(asked: Asked, spec: Spec) -> tuple[dict[str, int], float]:
    """Return width, height and upscale of what is painted, and the factor after it; nothing where `auto` is asked."""
    if asked.size is None:
        return {}, 1.0
    found = fit(asked.size, spec, asked.rules)
    return {"width": found.width, "height": found.height, "upscale": found.upscale}, found.factor


def _enlarged(asked: Asked, picture: Sent) -> float:
    """Return the factor from a picture's size to what was asked for."""
    if asked.size is None or asked.size == picture.size:
        return 1.0
    factor = asked.size[0] / picture.width
    if _same_shape(asked.size, picture.size) and 1 < factor <= MOST:
        return factor
    raise FieldError(
        f"The size follows from the picture: {picture.width}x{picture.height}, or up to {MOST:g} times that in the "
        f"same shape, not {asked.size[0]}x{asked.size[1]}.",
        "size",
        hint="Leave 'size' out.",
    )


def _same_shape(one: Size, other: Size) -> bool:
    return one[0] * other[1] == one[1] * other[0]


def understands(resolve: Callable[[Request], Any]) -> Understood:
    """Return who says whether a request's instruction is understood."""

    def understood(request: Request) -> bool:
        try:
            resolve(request)
        except UnclearInstruction:
            return False
        return True

    return understood
