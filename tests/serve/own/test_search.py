"""Search by look and by time on our own wire."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import httpx
import pytest
from PIL import Image, ImageDraw
from tests.serve.own.conftest import ECHO, error_of, make, png
from tests.serve.own.test_hostile import bomb

NO_PICTURE = "sha256:" + "0" * 64


def drawn(form: str, colour: str, ground: str = "white", **save: Any) -> bytes:
    """Return a drawing: an ellipse, a rectangle or a star-like polygon."""
    picture = Image.new("RGB", (256, 192), ground)
    draw = ImageDraw.Draw(picture)
    if form == "polygon":
        draw.polygon([(128, 20), (180, 170), (40, 80), (216, 80), (76, 170)], fill=colour)
    else:
        getattr(draw, form)((60, 40, 200, 150), fill=colour)
    file = io.BytesIO()
    picture.save(file, **({"format": "PNG"} | save))
    return file.getvalue()


@pytest.fixture(scope="module")
def drawings(own: httpx.Client) -> dict[str, str]:
    """Name -> id of drawings that were handed in."""
    made = {
        f"{colour} {form}": drawn(form, colour)
        for form in ("ellipse", "rectangle", "polygon")
        for colour in ("red", "blue")
    }
    return {name: own.post("/gallery", content=data).json()["id"] for name, data in made.items()}


def searched(client: httpx.Client, data: bytes | None = None, **query: Any) -> list[dict[str, Any]]:
    """Search until everything was looked at."""
    for _ in range(60):
        reply = client.get("/gallery/search", params=query) if data is None else None
        reply = reply if reply is not None else client.post("/gallery/search", params=query, content=data)
        assert reply.status_code == 200, reply.text
        if reply.json()["unseen"] == 0:
            break
    found: list[dict[str, Any]] = reply.json()["data"]
    assert [one["distance"] for one in found] == sorted(one["distance"] for one in found)
    return found


def test_a_changed_copy_finds_its_picture_and_is_not_kept(own: httpx.Client, drawings: dict[str, str]) -> None:
    before = own.get("/gallery?limit=1").json()
    copies = {
        "red ellipse": drawn("ellipse", "red", format="JPEG", quality=40),
        "blue polygon": drawn("polygon", "blue", format="WEBP", quality=40),
    }
    for name, data in copies.items():
        first = searched(own, data, limit=5)[0]
        assert first["id"] == drawings[name] and first["distance"] < 0.05
        form = own.post("/gallery/search?limit=1", files={"file": ("a.png", data)}).json()
        assert form["data"][0]["id"] == drawings[name] and len(form["model"]) == 64
    assert searched(own, drawn("ellipse", "red"), limit=1)[0]["distance"] < 0.001
    assert own.get("/gallery?limit=1").json() == before


def test_more_like_one_leaves_it_out_and_takes_filters(own: httpx.Client, drawings: dict[str, str]) -> None:
    mask = own.post("/fill", json=ECHO | {"picture": drawings["red ellipse"], "mask": drawings["red ellipse"]})
    assert mask.status_code in (202, 400)
    found = searched(own, like=drawings["red ellipse"], limit=200, given="true")
    ids = [one["id"] for one in found]
    assert drawings["red ellipse"] not in ids and set(drawings.values()) - {drawings["red ellipse"]} <= set(ids)
    assert all(one["given"] for one in found)
    assert searched(own, like=drawings["red ellipse"][7:19], limit=1, given="true") == found[:1]
    word = make(own, prompt="quiddity", seed=4)["artifacts"][0]
    assert [one["id"] for one in searched(own, like=drawings["red ellipse"], text="QUIDDITY")] == [word]
    past = (datetime.now(UTC) - timedelta(days=400)).isoformat()
    assert searched(own, like=drawings["red ellipse"], until=past) == []


def test_nobody_is_shown_what_is_anothers(own: httpx.Client, other: httpx.Client, drawings: dict[str, str]) -> None:
    mine = drawings["blue polygon"]
    searched(own, like=mine)
    error_of(other.get("/gallery/search", params={"like": mine}), 404, "not_found")
    copy = drawn("polygon", "blue", format="JPEG")
    assert not {one["id"] for one in searched(other, copy)} & set(drawings.values())
    data = own.get(f"/gallery/{mine}/file").content
    assert other.post("/gallery", content=data).json()["id"] == mine
    try:
        theirs = searched(other, copy)
        assert theirs[0]["id"] == mine and not {one["id"] for one in theirs[1:]} & set(drawings.values())
    finally:
        other.delete(f"/gallery/{mine}")
    assert mine not in {one["id"] for one in searched(other, copy)}
    assert mine in {one["id"] for one in searched(own, copy)}


SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>alert(1)</script></svg>'


@pytest.mark.parametrize(
    "data",
    [
        SVG,
        b"GIF89a" + b"\0" * 50,
        png(64, 64)[:200],
        png(64, 64)[:40] + b"\xff" * 400,
        b"a text that is called a picture",
        bomb(60_000, 60_000, 1),
        bomb(9000, 9000, 1),
    ],
    ids=["svg", "gif", "cut off", "broken", "text", "3.6 gigapixels", "81 megapixels"],
)
def test_what_is_no_picture_is_refused(own: httpx.Client, data: bytes) -> None:
    error_of(own.post("/gallery/search", content=data), 400, "invalid_picture")


def test_a_request_that_asks_for_nothing_or_too_much(own: httpx.Client, drawings: dict[str, str]) -> None:
    assert error_of(own.get("/gallery/search"), 400)["param"] == "like"
    error_of(own.get("/gallery/search", params={"like": NO_PICTURE}), 404, "not_found")
    error_of(own.get("/gallery/search", params={"like": "../../etc/passwd"}), 404)
    assert error_of(own.post("/gallery/search", content=b""), 400)["param"] == "file"
    for limit in (0, 201):
        error = error_of(own.post(f"/gallery/search?limit={limit}", content=png()), 400)
        assert error["param"] == "limit"
    assert error_of(own.post("/gallery/search?like=abcdef", content=png()), 400)["param"] == "like"


def test_times_limit_the_list(own: httpx.Client, drawings: dict[str, str]) -> None:
    entry = own.get(f"/gallery/{drawings['red ellipse']}").json()
    kept = datetime.fromisoformat(entry["kept"])
    later = (kept + timedelta(microseconds=1)).isoformat()

    def listed(**query: str) -> set[str]:
        return {one["id"] for one in own.get("/gallery", params={"limit": 200} | query).json()["data"]}

    assert entry["id"] in listed(since=entry["kept"]) and entry["id"] not in listed(since=later)
    assert entry["id"] in listed(until=later) and entry["id"] not in listed(until=entry["kept"])
    assert listed(since=entry["kept"], until=later) == {entry["id"]}
    day = f"{kept:%Y-%m-%d}"
    assert entry["id"] in listed(since=day) and entry["id"] not in listed(until=day)
    elsewhere = kept.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    assert entry["id"] in listed(since=elsewhere)
    assert listed(since="9998-01-01") == set() and entry["id"] not in listed(until="1970-01-01")


@pytest.mark.parametrize("name", ["since", "until"])
@pytest.mark.parametrize(
    "text",
    [
        "yesterday", "2026-13-01", "2026-02-30", "0001-01-01", "9999-12-31T23:59:59-12:00", "", "  ", "1e9", "2026",
        "2026-11-29T25:00", "2026-11-29T10:00:00+99:00", "'; DROP TABLE artifacts; --", "٢٠٢٦-١١-٢٩",
        "2026-11-29 ' OR 1",
    ],
)  # fmt: skip
def test_times_that_are_none(own: httpx.Client, name: str, text: str) -> None:
    error = error_of(own.get("/gallery", params={name: text}), 400)
    assert error["param"] == name
    error_of(own.post("/gallery/search", params={name: text}, content=png()), 400)


def test_a_time_that_ends_before_it_begins(own: httpx.Client) -> None:
    for since, until in (
        ("2026-11-30", "2026-11-29"),
        ("2026-11-29", "2026-11-29"),
        ("2026-11-29T00:00:01Z", "2026-11-29"),
    ):
        error = error_of(own.get("/gallery", params={"since": since, "until": until}), 400, "invalid_value")
        assert error["param"] == "until" and "not after" in error["message"]
