"""The gallery on our own wire, and what is told of pictures, prompts and rules."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from tests.serve.own.conftest import ECHO, error_of, make, png

NO_PICTURE = "sha256:" + "0" * 64


@pytest.fixture(scope="module")
def car(own: httpx.Client) -> str:
    """A picture that the embedded checkpoint painted."""
    return str(make(own, model="embedded", prompt="a red car", seed=8, steps=6)["artifacts"][0])


def test_a_picture_is_listed_and_its_file_is_what_its_id_says(own: httpx.Client, car: str) -> None:
    found = own.get("/gallery", params={"text": "RED car", "model": "embedded", "seed": 8, "given": "false"}).json()
    assert car in [entry["id"] for entry in found["data"]]
    assert "path" not in found["data"][0]
    reply = own.get(f"/gallery/{car}/file")
    assert reply.headers["content-type"] == "image/png"
    assert "sha256:" + hashlib.sha256(reply.content).hexdigest() == car
    assert own.get(f"/gallery/{car}/file", headers={"If-None-Match": reply.headers["etag"]}).status_code == 304
    assert own.get(f"/gallery/{car}/file", headers={"If-None-Match": '"else"'}).status_code == 200
    assert own.get(f"/gallery/{car[7:20]}").json()["id"] == car


def test_pages_of_the_gallery(own: httpx.Client) -> None:
    ids = [make(own, seed=100 + k)["artifacts"][0] for k in range(3)]
    first = [entry["id"] for entry in own.get("/gallery", params={"limit": 2}).json()["data"]]
    assert first == [ids[2], ids[1]]
    assert own.get("/gallery", params={"limit": 1, "before": first[-1]}).json()["data"][0]["id"] == ids[0]
    error_of(own.get("/gallery", params={"before": NO_PICTURE}), 404)


def test_thumbnail_receipt_link_and_history(own: httpx.Client, car: str, server: Any) -> None:
    small = Image.open(io.BytesIO(own.get(f"/gallery/{car}/thumbnail?side=64").content))
    assert small.format == "WEBP"
    assert max(small.size) == 64
    for side in (15, 1025):
        assert error_of(own.get(f"/gallery/{car}/thumbnail?side={side}"), 400)["param"] == "side"
    receipt = own.get(f"/gallery/{car}/receipt").json()
    assert receipt["request"]["prompt"] == "a red car"
    link = own.get(f"/gallery/{car}/link?seconds=60").json()
    with httpx.Client() as anybody:
        assert anybody.get(link["url"]).status_code == 200
        assert anybody.get(link["url"].replace("until=1", "until=2")).status_code == 404
    kid = make(own, "vary", picture=car, strength=0.4, seed=1, model="embedded", prompt="a red car")["artifacts"][0]
    tree = own.get(f"/gallery/{kid}/history").json()
    assert (tree["root"], tree["parents"]) == (car, [car])
    assert {node["id"]: node["parent"] for node in tree["data"]}[kid] == car
    assert kid in own.get(f"/gallery/{car}/history").json()["children"]
    error = error_of(own.delete(f"/gallery/{car}"), 409, "has_children")
    assert kid[7:23] in error["message"] and "force=true" in error["hint"]


def test_whose_drawings_it_looks_like_and_what_it_shows(own: httpx.Client, car: str) -> None:
    told = own.get(f"/gallery/{car}/attribute?top=3").json()
    assert told["things"]
    assert len(told["things"][0]["near"]) == 3
    assert {"distance", "attribution", "license", "package"} & set(told["things"][0]["near"][0])
    assert "signature" not in told["origin"]
    described = own.get(f"/gallery/{car}/describe").json()
    assert len(described["readings"]) == 4
    assert "car" in json.dumps(described["readings"])


def test_a_record_is_run_again_as_a_job(own: httpx.Client, car: str) -> None:
    made = own.post(f"/gallery/{car}/again?wait=true").json()
    assert made["status"] == "done"
    pixels = own.get(f"/gallery/{car}/receipt").json()["pixels_sha256"]
    assert made["results"][0]["receipt"]["pixels_sha256"] == pixels
    given = own.post("/gallery", content=png(seed=77)).json()["id"]
    error_of(own.post(f"/gallery/{given}/again"), 404)


def test_a_picture_is_handed_in_and_removed(own: httpx.Client) -> None:
    data = png(80, 60, 3)
    reply = own.post("/gallery", files={"file": ("../../x.png", data, "image/png")})
    assert reply.status_code == 201
    entry = reply.json()
    assert (entry["given"], entry["width"], entry["height"], entry["prompt"]) == (True, 80, 60, None)
    error_of(own.get(f"/gallery/{entry['id']}/receipt"), 404)
    assert own.get(f"/gallery/{entry['id']}/history").json()["data"][0]["done"] == "handed in"
    assert own.delete(f"/gallery/{entry['id']}").json()["removed"] is True
    error_of(own.get(f"/gallery/{entry['id']}"), 404)


PATHS = ("", "/file", "/thumbnail", "/receipt", "/history", "/link", "/attribute", "/describe")


def test_what_is_anothers_is_not_there(own: httpx.Client, other: httpx.Client, car: str) -> None:
    for path in PATHS:
        error_of(other.get(f"/gallery/{car}{path}"), 404, "not_found")
    error_of(other.delete(f"/gallery/{car}"), 404)
    error_of(other.post(f"/gallery/{car}/again"), 404)
    error_of(other.post("/vary", json=ECHO | {"picture": car}), 404)
    error_of(other.get("/gallery", params={"before": car}), 404)
    job = make(own, seed=60)["id"]
    for method, path in (("GET", ""), ("GET", "/events"), ("POST", "/cancel"), ("POST", "/retry"), ("DELETE", "")):
        error_of(other.request(method, f"/jobs/{job}{path}"), 404, "not_found")
    absent = other.get(f"/gallery/{NO_PICTURE}").json()["error"]
    theirs = other.get(f"/gallery/{car}").json()["error"]
    assert {k: str(v).replace(car, "ID") for k, v in theirs.items()} == {
        k: str(v).replace(NO_PICTURE, "ID") for k, v in absent.items()
    }


def test_an_upload_of_anothers_picture_tells_nothing_of_it(own: httpx.Client, other: httpx.Client, car: str) -> None:
    data = own.get(f"/gallery/{car}/file").content
    entry = other.post("/gallery", content=data).json()
    try:
        assert (entry["id"], entry["given"], entry["prompt"], entry["seed"]) == (car, True, None, None)
        error_of(other.get(f"/gallery/{car}/receipt"), 404)
    finally:
        other.delete(f"/gallery/{car}")


def test_verify_says_what_the_command_says_and_keeps_nothing(
    own: httpx.Client, other: httpx.Client, car: str, tmp_path: Path
) -> None:
    data = own.get(f"/gallery/{car}/file").content
    before = own.get("/gallery").json()
    report = own.post("/verify", content=data).json()
    assert report["ok"] is True
    assert report["receipt"] == own.get(f"/gallery/{car}").json()["receipt_id"]
    assert {check["verdict"] for check in report["checks"]} <= {"holds", "absent"}
    assert own.post("/verify", files={"file": ("x.png", data)}).json() == report
    broken = bytearray(data)
    broken[len(data) // 2] ^= 1
    reply = own.post("/verify", content=bytes(broken))
    assert reply.status_code == 400 or reply.json()["ok"] is False
    empty = own.post("/verify", content=png()).json()
    assert (empty["empty"], empty["receipt"]) == (True, None)
    assert own.get("/gallery").json() == before
    error_of(own.post("/verify", content=b"no picture"), 400, "invalid_picture")


def test_prompts_and_rules(own: httpx.Client, other: httpx.Client) -> None:
    told = own.post("/prompt/explain", json={"prompt": "oil painting of a cat, (warm light:9"}).json()
    assert {piece["part"] for piece in told["pieces"]} >= {"medium", "subject"}
    assert told["problems"]
    made = own.post("/prompt/expand", json={"prompt": "a cat", "seed": 1}).json()
    assert made["prompt"].startswith("a cat, ")
    assert made == own.post("/prompt/expand", json={"prompt": "a cat", "seed": 1}).json()
    assert own.post("/judge", json={"text": "a cat"}).json()["allowed"] is True
    judged = own.post("/judge", json={"text": "a nude photo of a woman"}).json()
    assert judged["allowed"] is False
    policy = own.get("/policy").json()
    assert policy["hash"] == judged["policy"]
    rules = {rule["id"]: rule for rule in policy["rules"]}
    refused = [verdict for verdict in judged["verdicts"] if not verdict["allowed"]]
    assert all(verdict["score"] >= rules[verdict["rule"]]["threshold"] for verdict in refused)


def test_models_adapters_and_annotators_name_their_licence_and_no_path(own: httpx.Client, server: Any) -> None:
    models = own.get("/models").json()["data"]
    assert [model["name"] for model in models if model["default"]] == ["embedded"]
    assert own.get("/models/embedded").json() == next(one for one in models if one["name"] == "embedded")
    assert all(model["licence"]["spdx"] for model in models)
    embedded = next(one for one in models if one["name"] == "embedded")
    assert embedded["bytes"] > 10**7 and all(len(digest) == 64 for digest in embedded["weights"].values())
    assert "unet/diffusion_pytorch_model.safetensors" in embedded["weights"] and len(embedded["training_ledger"]) == 64
    assert next(one for one in models if one["name"] == "flux-dev")["bytes"] is None
    kinds = {one["kind"]: one for one in own.get("/annotators").json()["data"]}
    assert kinds["canny"]["parameters"][0] | {"about": ""} == {
        "name": "low",
        "default": 100,
        "allowed": "a whole number from 1 to 255",
        "low": 1,
        "high": 255,
        "choices": [],
        "about": "",
    }
    assert own.get("/adapters").json()["data"] == []
    error_of(own.get("/adapters/x"), 404)
    error_of(own.get("/models/..%2f..%2fetc"), 404)
    assert str(server.home) not in own.get("/models").text


def test_an_adapter_has_a_size_and_a_grid_for_who_may_use_it(
    own: httpx.Client, other: httpx.Client, server: Any
) -> None:
    from fantascope.adapter import Adapter
    from fantascope.spec import Licence

    grid = png(96, 64, 8)
    folder = server.home / "adapters"
    (folder / "files").mkdir(parents=True, exist_ok=True)
    (folder / "files" / "grid.safetensors").write_bytes(b"x" * 5000)
    told: dict[str, Any] = {"title": "x", "sha256": "5" * 64, "data_sha256": "6" * 64, "base": "embedded", "layers": 3}
    told |= {
        "family": "embedded",
        "method": "lora",
        "ranks": (8,),
        "parts": ("unet",),
        "licence": Licence(spdx="CC0-1.0"),
    }
    made = [
        Adapter(**told, name="grid", file="grid.safetensors", samples=own.post("/gallery", content=grid).json()["id"]),
        Adapter(**told, name="bare", file="none.safetensors"),
        Adapter(**told, name="theirs", file="grid.safetensors", samples=made_id(own), owner="somebody-else"),
    ]
    for one in made:
        (folder / f"{one.name}.json").write_text(one.model_dump_json())
    try:
        for client in (own, other):
            found = client.get("/adapters/grid").json()
            assert (found["size"], found["samples"]) == (5000, "/v1/fantascope/adapters/grid/samples")
            picture = client.get("/adapters/grid/samples")
            assert picture.content == grid and picture.headers["content-type"] == "image/png"
        bare = own.get("/adapters/bare").json()
        assert (bare["size"], bare["samples"]) == (None, None)
        error_of(own.get("/adapters/bare/samples"), 404)
        error_of(own.get("/adapters/..%2fgrid/samples"), 404)
        error_of(other.get("/adapters/theirs/samples"), 404, "not_found")
        assert own.get("/adapters/theirs/samples").status_code == 200
        own.delete(f"/gallery/{made[0].samples}").raise_for_status()
        error_of(own.get("/adapters/grid/samples"), 404)
    finally:
        for one in made:
            (folder / f"{one.name}.json").unlink()


def made_id(client: httpx.Client) -> str:
    return str(make(client, seed=9)["artifacts"][0])
