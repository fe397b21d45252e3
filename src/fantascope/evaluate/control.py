"""How well pictures follow the maps they were painted under, and whether they still show what the prompt says.

A map is found again in the picture, by the annotator that makes maps of its kind, and compared with the one given; the
same is done with pictures of the same prompts and seeds painted without a map. All comparisons are made at 128 px.

- **lines and edges**: F1 of the pixels, where one within 2 px counts as met. Source: Martin, Fowlkes & Malik, "Learning
  to detect natural image boundaries" (2004), section 4, without one-to-one matching.
- **segmentation and depth**: mean IoU of the map's regions. The picture's regions are found by colour, and each counts
  for the region of the map that it overlaps most: no network that names things is asked. Source: Liu et al.,
  "Entropy rate superpixel segmentation" (2011), section 5 (achievable segmentation accuracy).
- **pose**: the share of joints that the pose network finds where they were asked for, and, where the ground is plain,
  how the place of the person and the limbs agree with those of the joints (`evaluate.poses`). The detector does not
  know people from head to foot, so whether the prompt is obeyed is not judged there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fantascope.annotate import Pose, annotate, draw_pose
from fantascope.annotate.pixels import back, resized
from fantascope.annotate.segments import find_regions
from fantascope.core.colour import COLOURS
from fantascope.data.compose import Composer
from fantascope.data.maps import colours, map_of, pose_of
from fantascope.data.scene import DRAWN, Scene, plan
from fantascope.data.vocabulary import Concept
from fantascope.engines.detector import Found
from fantascope.errors import InvalidValue, UnknownName
from fantascope.evaluate.poses import joints_met, limbs_on, moved_into, person_of, shared, silhouette
from fantascope.evaluate.prompts import Asked, Want
from fantascope.evaluate.score import judge
from fantascope.evaluate.statistics import Figure, bootstrap, wilson

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.bool_]

SIDE = 128
"""Side at which maps are compared, px."""

TOLERANCE = 2.0
"""How far an edge may be off, px of `SIDE`."""

WHITE = 127
"""Level above which a pixel of a map of lines counts."""

NEAR = 127
"""Level above which a pixel of a depth map belongs to a thing."""

LAYER = 0.01
"""Share of the picture that has one level of depth from which that is a layer; soft borders go to the nearest one."""

FOUND_BY: dict[str, str] = {"canny": "canny", "hough": "hough", "softedge": "softedge", "scribble": "fake_scribble"}
"""Kind of lines -> the annotator that finds it in a picture."""

REGIONS = ("segmentation", "depth")

KINDS = (*FOUND_BY, *REGIONS, "pose")
"""All that is measured here."""

UNSEEN = 5_000_000
"""First of the scenes that maps are made of here; nothing is trained on them."""


@dataclass(frozen=True)
class Case:
    """A map and a prompt to paint under it.

    Attributes:
        kind: Of the map.
        prompt: The scene's caption.
        map: (128, 128, 3).
        seed: Of the noise.
        wants: Kinds of things that the scene shows.
        picture: The scene itself, (128, 128, 3): what a perfect answer looks like.
        pose: The joints that a map of joints was drawn from.
        person: Where people are in the scene, (128, 128); None where the ground is not plain.
    """

    kind: str
    prompt: str
    map: Pixels
    seed: int
    wants: tuple[str, ...]
    picture: Pixels
    pose: Pose | None = None
    person: Mask | None = None


Paint = Callable[[Sequence[Case], bool], Sequence[Pixels]]
"""Paints cases, under their maps or, if told False, by prompt and seed alone; pictures (H, W, 3) of any size."""

Look = Callable[[Sequence[Pixels]], Sequence[Sequence[Found]]]
"""What is in each picture: `Detector.look`."""


@dataclass(frozen=True)
class Stands:
    """How where people are in pictures agrees with joints.

    Attributes:
        under: Of pictures painted under the map of these joints.
        other: The same pictures against the joints of the next case with as many people, moved into the same place:
            what is met by somebody of the right size in the right place who stands in any way.
        without: Of pictures painted without a map.
        real: Of the scenes themselves: the most that can be expected.
    """

    under: Figure
    other: Figure
    without: Figure
    real: Figure


@dataclass(frozen=True)
class Standing:
    """How people stand, of the cases on plain grounds.

    Attributes:
        overlap: Intersection over union of the person and the silhouette of the joints, 0..1.
        limbs: Share of the halves of arms and legs that lie on the person, 0..1.
        sighted: Intersection over union of the person found in a scene and the one drawn there, 0..1: how far what is
            found can be trusted.
    """

    overlap: Stands
    limbs: Stands
    sighted: Figure


@dataclass(frozen=True)
class Fidelity:
    """What was measured of one kind.

    Attributes:
        agreement: Of the map given with the one found, 0..1, under the map.
        without: The same of pictures painted without a map.
        real: The same of the scenes themselves: the most that can be expected.
        obeyed: Share of pictures under a map in which the detector finds all that the prompt names.
        obeyed_without, obeyed_real: The same without a map, and of the scenes themselves.
        standing: Of poses: how people stand, if there are at least two cases with as many people on plain grounds.
    """

    agreement: Figure
    without: Figure
    real: Figure
    obeyed: Figure
    obeyed_without: Figure
    obeyed_real: Figure
    standing: Standing | None = None

    def as_dict(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def cases(
    composer: Composer,
    concepts: dict[str, Concept],
    kinds: Sequence[str],
    count: int,
    known: Sequence[str],
    first: int = UNSEEN,
) -> list[Case]:
    """`count` cases of each kind, from scenes of one or two things, or people, that are drawn as they are.

    Args:
        composer, concepts: Draw the scenes.
        kinds: Kinds of maps.
        count: Scenes; each gives a case of every kind.
        known: Kinds of things that the detector knows; scenes with others are left out.
        first: Number of the first scene that is tried.

    Raises:
        UnknownName: A kind that is not measured here.
    """
    for kind in kinds:
        if kind not in KINDS:
            raise UnknownName("kind of map", kind, KINDS, param="kinds")
    found: list[Case] = []
    some = [(number, kind) for number, kind in enumerate(kinds) if kind != "pose"]
    for scene in _scenes(concepts, first, set(known)) if some else ():
        if len(found) == count * len(some):
            break
        large = np.asarray(composer.render(scene, 4 * SIDE))
        picture = np.asarray(composer.render(scene, SIDE))
        wants = tuple(concepts[thing.concept].kind for thing in scene.things)
        for number, kind in some:
            drawn = _drawn(kind, scene, composer, concepts, large, np.random.default_rng([scene.seed, number, 41]))
            found.append(Case(kind, scene.caption, drawn, scene.seed, wants, picture))
    return found + (_posed(composer, concepts, count, first) if "pose" in kinds else [])


def _posed(composer: Composer, concepts: dict[str, Concept], count: int, first: int) -> list[Case]:
    """Cases of people, their maps drawn at 512 px as a user's would be."""
    found: list[Case] = []
    for seed in range(first, first + 1_000_000):
        scene = plan(seed, concepts)
        if scene.figures and scene.style in DRAWN:
            pose = pose_of(scene, 4 * SIDE)
            drawn = resized(draw_pose(pose), (SIDE, SIDE), "nearest")
            picture = np.asarray(composer.render(scene, SIDE))
            plain = scene.backdrop in COLOURS or scene.backdrop.startswith("gradient:")
            person = np.stack(composer.shapes(scene, SIDE)).max(0) > 127 if plain else None
            found.append(Case("pose", scene.caption, drawn, seed, (), picture, pose, person))
        if len(found) == count:
            break
    return found


def _scenes(concepts: dict[str, Concept], first: int, known: set[str]) -> Iterator[Scene]:
    for seed in range(first, first + 1_000_000):
        scene = plan(seed, concepts)
        plain = scene.style in DRAWN and not scene.light and not scene.finish
        if plain and scene.layout in ("one", "pair") and all(concepts[t.concept].kind in known for t in scene.things):
            yield scene


def _drawn(
    kind: str,
    scene: Scene,
    composer: Composer,
    concepts: Mapping[str, Concept],
    large: Pixels,
    rng: np.random.Generator,
) -> Pixels:
    """A map as a user's would be: lines by the annotator's defaults, from the scene at 512 px."""
    if kind in FOUND_BY:
        return back(annotate(FOUND_BY[kind], large), SIDE, SIDE, _scale(kind))
    plane = map_of(kind, scene, composer, concepts, large, rng)
    return colours()[plane] if kind == "segmentation" else np.repeat(plane[..., None], 3, 2)


def _scale(kind: str) -> str:
    return "soft" if kind == "softedge" else "lines"


def agreement(kind: str, given: Pixels, picture: Pixels) -> float:
    """How well a picture follows a map, 0..1.

    Args:
        kind: Of the map.
        given: (H, W, 3), the map.
        picture: (H', W', 3) of the same shape.

    Raises:
        UnknownName: A kind that is not measured here.
        InvalidValue: The map is empty: nothing was asked for.
    """
    if kind in REGIONS:
        return mean_overlap(labels_of(kind, resized(given, (SIDE, SIDE), "nearest")), picture)
    if kind not in FOUND_BY:
        raise UnknownName("kind of map", kind, (*FOUND_BY, *REGIONS), param="kind")
    scale = _scale(kind)
    asked = back(given, SIDE, SIDE, scale) if given.shape[:2] != (SIDE, SIDE) else given
    again = annotate(FOUND_BY[kind], picture)
    again = back(again, SIDE, SIDE, scale) if again.shape[:2] != (SIDE, SIDE) else again
    return edge_f1(asked.max(2) > WHITE, again.max(2) > WHITE)


def edge_f1(asked: Mask, found: Mask, tolerance: float = TOLERANCE) -> float:
    """F1 of edge pixels (H, W); one counts as met if the other map has one within `tolerance` px.

    Raises:
        InvalidValue: No pixel is asked for.

    Example:
        >>> line = np.eye(32, dtype=bool)
        >>> edge_f1(line, np.roll(line, 1, 1))
        1.0
    """
    if not asked.any():
        raise InvalidValue("An empty map asks for nothing; there is nothing to compare.", param="map")
    if not found.any():
        return 0.0
    precision = float((found & widened(asked, tolerance)).sum() / found.sum())
    recall = float((asked & widened(found, tolerance)).sum() / asked.sum())
    return 0.0 if precision + recall == 0 else 2 * precision * recall / (precision + recall)


def widened(mask: Mask, reach: float) -> Mask:
    """All pixels (H, W) within `reach` px of one that is set."""
    whole = int(reach)
    wide = np.pad(mask, whole)
    out = np.zeros_like(mask)
    for down in range(-whole, whole + 1):
        for across in range(-whole, whole + 1):
            if down * down + across * across <= reach * reach:
                top, left = whole + down, whole + across
                out |= wide[top : top + mask.shape[0], left : left + mask.shape[1]]
    return out


def labels_of(kind: str, given: Pixels) -> npt.NDArray[np.int64]:
    """The regions (H, W) that a map of regions or of depth asks for, numbered from 0."""
    if kind == "depth":
        levels = given.max(2).astype(np.int64)
        counts = np.bincount(levels[levels > NEAR], minlength=256)
        layers = np.array([0, *np.flatnonzero(counts >= max(1, LAYER * levels.size))])
        flat = np.where(levels > NEAR, np.abs(levels[..., None] - layers).argmin(-1), 0)
    else:
        flat = given.astype(np.int64) @ np.array([65536, 256, 1])
    labels: npt.NDArray[np.int64] = np.unique(flat, return_inverse=True)[1].reshape(flat.shape)
    return labels


def mean_overlap(labels: npt.NDArray[np.int64], picture: Pixels, least: float = 0.005) -> float:
    """Mean IoU of regions (128, 128) with those of a picture; regions below a share of the area are left out."""
    found, _ = find_regions(resized(picture, (SIDE, SIDE), "area"))
    table = np.zeros((int(found.max()) + 1, int(labels.max()) + 1), np.int64)
    np.add.at(table, (found.ravel(), labels.ravel()), 1)
    taken = table.argmax(1)[found]
    scores = []
    for label in range(table.shape[1]):
        asked, has = labels == label, taken == label
        if asked.mean() >= least:
            scores.append(float((asked & has).sum() / (asked | has).sum()))
    return float(np.mean(scores))


def fidelity(rows: Sequence[Case], paint: Paint, look: Look, threshold: float, batch: int = 8) -> dict[str, Fidelity]:
    """Paint cases with and without their maps and measure both.

    Args:
        rows: From `cases`.
        paint: See `Paint`.
        look: See `Look`.
        threshold: Score from which a find counts, as the detector's own.
        batch: Cases painted at once.

    Returns:
        Kind -> what was measured, in the order of the cases. Cases whose map is empty are left out.
    """
    kept = [case for case in rows if case.kind not in FOUND_BY or bool((case.map.max(2) > WHITE).any())]
    under, free = (_painted(kept, paint, controlled, batch) for controlled in (True, False))
    out = {}
    for kind in dict.fromkeys(case.kind for case in kept):
        where = [k for k, case in enumerate(kept) if case.kind == kind]
        some = [kept[k] for k in where]
        every = ([under[k] for k in where], [free[k] for k in where], [case.picture for case in some])
        scores = [bootstrap([_agreed(case, one) for case, one in zip(some, made, strict=True)]) for made in every]
        seen = [_obeyed(some, made, look, threshold) for made in every]
        stands = standing(some, *every)
        out[kind] = Fidelity(scores[0], scores[1], scores[2], seen[0], seen[1], seen[2], stands)
    return out


def standing(
    rows: Sequence[Case], under: Sequence[Pixels], without: Sequence[Pixels], real: Sequence[Pixels]
) -> Standing | None:
    """How people stand in pictures painted with and without maps and in the scenes, of cases on plain grounds.

    Args:
        rows: Cases; those that are no poses or have no plain ground are left out.
        under, without, real: A picture of each, (H, W, 3) of any size.

    Returns:
        None where no two cases on plain grounds have as many people.
    """
    both = ((case.pose, case.person, k) for k, case in enumerate(rows))
    plain = [(pose, person, k) for pose, person, k in both if pose is not None and person is not None]
    others = _others([pose for pose, _, _ in plain])
    kept = [(*row, other) for row, other in zip(plain, others, strict=True) if other is not None]
    if not kept:
        return None
    asked, drawn, numbers, moved = zip(*kept, strict=True)
    places = [[_place(made[k]) for k in numbers] for made in (under, without, real)]
    pairs = ((asked, places[0]), (moved, places[0]), (asked, places[1]), (asked, places[2]))

    def stands(measure: Callable[[Pose, Mask], float]) -> Stands:
        return Stands(*(bootstrap([measure(*pair) for pair in zip(*some, strict=True)]) for some in pairs))

    return Standing(
        stands(lambda pose, place: shared(silhouette(pose, SIDE), place)),
        stands(limbs_on),
        bootstrap([shared(*pair) for pair in zip(drawn, places[2], strict=True)]),
    )


def _place(picture: Pixels) -> Mask:
    return person_of(resized(picture, (SIDE, SIDE), "area"))


def _others(poses: Sequence[Pose]) -> list[Pose | None]:
    """For each pose the next one with as many people, moved into its place."""
    out: list[Pose | None] = []
    for k, pose in enumerate(poses):
        after = [one for one in (*poses[k + 1 :], *poses[:k]) if len(one.people) == len(pose.people)]
        out.append(moved_into(after[0], pose) if after else None)
    return out


def _agreed(case: Case, picture: Pixels) -> float:
    return agreement(case.kind, case.map, picture) if case.pose is None else joints_met(case.pose, picture)


def _painted(rows: Sequence[Case], paint: Paint, controlled: bool, batch: int) -> list[Pixels]:
    return [one for at in range(0, len(rows), batch) for one in paint(rows[at : at + batch], controlled)]


def _obeyed(rows: Sequence[Case], pictures: Sequence[Pixels], look: Look, threshold: float) -> Figure:
    marks = []
    if not any(case.wants for case in rows):
        return Figure(float("nan"), float("nan"), float("nan"), 0)
    for case, seen in zip(rows, look(pictures), strict=True):
        wants = tuple(Want(kind, case.wants.count(kind)) for kind in dict.fromkeys(case.wants))
        marks.append(judge(Asked(str(case.seed), "two objects", case.prompt, wants), seen, threshold).passed)
    return wilson(sum(marks), len(marks))


def as_table(measured: Mapping[str, Fidelity]) -> str:
    """A Markdown table of what was measured, one kind a row, with 95 % intervals."""

    def told(figure: Figure) -> str:
        if figure.n == 0:
            return "–"
        return f"{figure.value:.2f} ({figure.low:.2f}–{figure.high:.2f})"

    lines = ["| kind | n | follows the map | no map | the scene | prompt obeyed | no map | the scene |"]
    lines += ["|---|---|---|---|---|---|---|---|"]
    for kind, row in measured.items():
        figures = (row.agreement, row.without, row.real, row.obeyed, row.obeyed_without, row.obeyed_real)
        lines.append(f"| `{kind}` | {row.agreement.n} | {' | '.join(told(figure) for figure in figures)} |")
    for row in measured.values():
        if row.standing is not None:
            lines += ["", "| of people on plain grounds | n | under the map | another pose | no map | the scene |"]
            lines += ["|---|---|---|---|---|---|"]
            for name, how in (("silhouette, IoU", row.standing.overlap), ("limbs met", row.standing.limbs)):
                four = " | ".join(map(told, (how.under, how.other, how.without, how.real)))
                lines.append(f"| {name} | {how.under.n} | {four} |")
            lines += ["", f"People drawn are found with an IoU of {told(row.standing.sighted)}."]
    return "\n".join(lines) + "\n"
