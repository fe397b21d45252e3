"""Reads what `--adapter` says: a name, a weight, when it works, and weights of blocks, A1111's lists among them."""

from __future__ import annotations

from fantascope.errors import InvalidValue
from fantascope.request import Applied

LISTS: dict[int, tuple[str, ...]] = {
    12: ("text", "down_1.0", "down_1.1", "down_2.0", "down_2.1", "mid", *(f"up_{k // 3}.{k % 3}" for k in range(6))),
    17: (
        "text",
        *(f"down_{k // 2}.{k % 2}" for k in range(6)),
        "mid",
        *(f"up_{k // 3}.{k % 3}" for k in range(3, 12)),
    ),
}
"""Length of a list of block weights, as A1111's users write them, -> the blocks in their order.

17 numbers are BASE, IN01, 02, 04, 05, 07, 08, MID, OUT03 to 11 of SD 1.x; 12 are BASE, IN04, 05, 07, 08, MID, OUT00 to
05 of SDXL. What they leave out keeps its whole weight.
"""

HOW = "--adapter is NAME[:WEIGHT][:start=0.2][:end=0.8][:blocks=mid=0.5,up_0=0]"


def parse_adapter(text: str) -> Applied:
    """Read `ink`, `ink:0.8`, `ink:0.8:start=0.2:end=0.9` or `ink:1:blocks=down_0=0.5,mid=0`.

    `blocks` (or A1111's `lbw`) also takes 12 or 17 numbers.

    Raises:
        InvalidValue: it is none of these.
    """
    name, *rest = (piece.strip() for piece in text.split(":"))
    if not name:
        raise InvalidValue(f"{HOW}, not {text!r}.", param="adapters")
    fields: dict[str, float | dict[str, float]] = {}
    for piece in rest:
        key, mark, value = piece.partition("=")
        if not mark:
            key, value = "weight", piece
        if key in fields or key not in ("weight", "start", "end", "blocks", "lbw"):
            raise InvalidValue(f"{HOW}, not {text!r}.", param="adapters")
        fields["blocks" if key == "lbw" else key] = parse_blocks(value) if key in ("blocks", "lbw") else _number(value)
    try:
        return Applied.model_validate({"name": name, **fields})
    except ValueError as error:
        first = error.errors()[0]  # type: ignore[attr-defined]
        where = " ".join(str(part) for part in first["loc"] if part != "[key]")
        raise InvalidValue(f"--adapter {text}: {where}: {first['msg'].lower()}.", param="adapters") from None


def parse_blocks(text: str) -> dict[str, float]:
    """Read `down_0=0.5,mid=0`, or a list of 12 or 17 numbers.

    Raises:
        InvalidValue: it is neither.
    """
    pieces = [piece.strip() for piece in text.split(",") if piece.strip()]
    named = [piece for piece in pieces if "=" in piece]
    if not pieces or (named and len(named) != len(pieces)):
        raise InvalidValue(f"blocks are NAME=WEIGHT, several with commas, not {text!r}.", param="adapters")
    if named:
        return {key.strip(): _number(value) for key, _, value in (piece.partition("=") for piece in pieces)}
    if len(pieces) not in LISTS:
        raise InvalidValue(
            f"A list of block weights has 12 numbers (SDXL) or 17 (SD 1.x), not {len(pieces)}.", param="adapters"
        )
    return dict(zip(LISTS[len(pieces)], map(_number, pieces), strict=True))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise InvalidValue(f"{HOW}; {text!r} is no number.", param="adapters") from None
