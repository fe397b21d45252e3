"""Reading drawings with their provenance; what may not or cannot be used is left out and named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.data.conftest import CONCEPTS, ICONS, clip, write_package

from fantascope.data.gather import gather
from fantascope.data.ledger import ledger_rows
from fantascope.data.sources import Source, read_opt_outs, read_sources, read_sprites
from fantascope.data.vocabulary import Concept, core, drawings, read_vocabulary
from fantascope.errors import InvalidValue, LicenceMissing, ModelNotFound

pytest.importorskip("pyvips")

Told = tuple[list[str], Callable[[str], None]]


def flat(root: Path) -> Source:
    return read_sources(root / "sources.toml")["flat"]


def test_a_sprite_carries_its_provenance(root: Path, told: Told) -> None:
    (sprite,) = read_sprites(root, flat(root), ["ball"], told[1])
    assert sprite.sha256 == hashlib.sha256(sprite.svg.encode()).hexdigest()
    assert (sprite.package, sprite.version, sprite.author, sprite.licence) == ("@t/icons", "1.0.0", "Ann", "MIT")
    assert sprite.attribution == "Test Icons: ball, by Ann, MIT"
    assert sprite.licence_sha256 == hashlib.sha256(b"The text of MIT.\n").hexdigest()
    assert (sprite.opt_out, sprite.trains, sprite.source) == ("2026-11-20", "generator", "flat")


def test_everything_the_concepts_use_is_gathered(root: Path, told: Told) -> None:
    sprites, concepts = gather(root, CONCEPTS, told[1])
    assert [(s.source, s.name) for s in sprites] == [
        ("flat", "disc"),
        ("flat", "box"),
        ("flat", "leaf"),
        ("clipart", "discs/disc_ann.svg"),
    ]
    assert concepts == CONCEPTS and told[0] == []
    assert sprites[-1].author == "Ann" and sprites[-1].licence == "PDM-1.0"


def test_what_only_earlier_trainings_showed_is_on_the_ledger_and_in_no_scene(root: Path, told: Told) -> None:
    lines, tell = told
    listed = root / "sources.toml"
    row = 'package = "@t/icons"\n'
    listed.write_text(listed.read_text("utf-8").replace(row, f'{row}also = ["leaf", "box", "gone"]\n'), "utf-8")
    concepts = {key: concept for key, concept in CONCEPTS.items() if key != "leaf"}
    sprites, drawn = gather(root, concepts, tell)
    assert {sprite.name: sprite.trains for sprite in sprites if sprite.source == "flat"} == {
        "disc": "generator",
        "box": "generator",
        "leaf": "earlier",
    }
    assert set(drawn) == {"disc", "box"}
    assert [row["trains"] for row in ledger_rows(sprites) if row["name"] == "leaf"] == ["earlier"]
    assert lines == ["@t/icons gone: the package has no such drawing"]


def test_a_missing_package_is_named_with_the_command_that_brings_it(root: Path, tmp_path: Path, told: Told) -> None:
    with pytest.raises(ModelNotFound, match=r"no icons\.json") as caught:
        gather(tmp_path / "nothing", CONCEPTS, told[1])
    assert "npm install" in str(caught.value.hint)
    (root / "node_modules" / "@t" / "icons" / "license.txt").unlink()
    with pytest.raises(ModelNotFound, match="no text of MIT"):
        gather(root, CONCEPTS, told[1])


def test_a_package_under_share_alike_is_refused_whole(tmp_path: Path, told: Told) -> None:
    """OpenMoji's shape: thousands of drawings, one licence in info.json."""
    write_package(tmp_path, "@iconify-json/openmoji", "CC-BY-SA-4.0")
    row = Source(
        "openmoji", "iconify", "@iconify-json/openmoji", "node_modules/@iconify-json/openmoji", "generator", "x"
    )
    concepts = {"disc": Concept("disc", ("disc",), ("discs",), draw={"openmoji": "disc"})}
    with pytest.raises(LicenceMissing, match="openmoji may not be trained on: share-alike"):
        gather(tmp_path, concepts, told[1], sources={"openmoji": row})


@pytest.mark.parametrize(
    ("licence", "reason"),
    [
        ("GPL-2.0-or-later", "copyleft"),
        ("CC-BY-NC-2.0", "non-commercial"),
        ("http://creativecommons.org/licenses/by-sa/2.0/", "unknown licence"),
        ("", "no licence stated"),
    ],
)
def test_a_drawing_under_another_licence_is_skipped_and_named(
    root: Path, told: Told, licence: str, reason: str
) -> None:
    path = root / "openclipart/usr/share/openclipart/svg/discs/disc_ann.svg"
    path.write_text(clip(licence=licence), "utf-8")
    sprites, concepts = gather(root, CONCEPTS, told[1])
    assert [sprite.source for sprite in sprites] == ["flat"] * 3
    assert len(told[0]) == 1 and "discs/disc_ann.svg" in told[0][0] and reason in told[0][0]
    assert "clipart" not in concepts["disc"].draw and "flat" in concepts["disc"].draw


@pytest.mark.parametrize("by", ["author", "package", "drawing"])
def test_whoever_opted_out_is_skipped_and_named(root: Path, told: Told, by: str) -> None:
    path = root / "openclipart/usr/share/openclipart/svg/discs/disc_ann.svg"
    path.write_text(clip("Bo"), "utf-8")
    key = {"author": "Bo", "package": "openclipart-svg", "drawing": hashlib.sha256(clip("Bo").encode()).hexdigest()}[by]
    sprites, _ = gather(root, CONCEPTS, told[1], opted_out={key: "asked on 2026-11-01"})
    assert [sprite.source for sprite in sprites] == ["flat"] * 3
    assert len(told[0]) == 1 and "asked on 2026-11-01" in told[0][0] and "openclipart-svg" in told[0][0]


def test_machine_readable_reservations_are_honoured(root: Path, told: Told) -> None:
    path = root / "openclipart/usr/share/openclipart/svg/discs/disc_ann.svg"
    path.write_text(clip().replace("<metadata>", '<metadata><meta name="robots" content="noai"/>'), "utf-8")
    assert len(gather(root, CONCEPTS, told[1])[0]) == 3 and "noai" in told[0][0]
    told[0].clear()
    (root / "node_modules" / "@t" / "icons" / "ai.txt").write_text("User-Agent: *\nDisallow: /\n", "utf-8")
    with pytest.raises(InvalidValue, match="Nothing of the vocabulary"):
        gather(root, CONCEPTS, told[1])
    assert "@t/icons: reserved by ai.txt" in told[0]


@pytest.mark.parametrize(
    "body", ['<path d="M0 0h9', "", '<path fill="none" d="M4 4h24v24H4z"/>'], ids=["cut off", "nothing", "invisible"]
)
def test_a_drawing_that_cannot_be_drawn_is_skipped_and_named(tmp_path: Path, told: Told, body: str) -> None:
    icons: dict[str, Any] = json.loads(json.dumps(ICONS))
    icons["icons"]["box"]["body"] = body
    write_package(tmp_path, icons=icons)
    row = Source("flat", "iconify", "@t/icons", "node_modules/@t/icons", "generator", "x")
    sprites, concepts = gather(tmp_path, CONCEPTS, told[1], sources={"flat": row})
    assert [sprite.name for sprite in sprites] == ["disc", "leaf"] and list(concepts) == ["disc", "leaf"]
    assert any("@t/icons box" in line for line in told[0]) and any("concept box" in line for line in told[0])


def test_a_name_that_is_not_there_or_leads_elsewhere_is_skipped(root: Path, told: Told) -> None:
    rows = read_sources(root / "sources.toml")
    (root / "secret.svg").write_text(clip(), "utf-8")
    wanted = ["discs/none.svg", "../../../../../secret.svg", str(root / "secret.svg")]
    assert list(read_sprites(root, rows["clipart"], wanted, told[1])) == []
    assert list(read_sprites(root, rows["flat"], ["disk"], told[1])) == []
    assert len(told[0]) == 4 and all("no such drawing" in line for line in told[0])


def test_the_shipped_lists_fit_together() -> None:
    sources, concepts = read_sources(), read_vocabulary()
    assert {source.trains for source in sources.values()} == {"generator", "detector"}
    for concept in concepts.values():
        assert "flat" in concept.draw and set(concept.draw) <= set(sources)
    assert len(concepts) >= 600 and len(drawings(concepts, "flat")) >= 600
    assert {"elephant", "astronaut"} <= set(core(concepts))
    assert all(isinstance(reason, str) and reason for reason in read_opt_outs().values())
