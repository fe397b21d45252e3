"""What is sent back: errors, pictures, and the `info` of a run, as the A1111 web UI says them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from typing import Any

from starlette.responses import Response

from fantascope.artifact import Artifact
from fantascope.errors import FantascopeError
from fantascope.provenance.infotext import SAMPLERS, main_weight, parameters_of
from fantascope.receipt import Receipt
from fantascope.serve.a1111.bodies import Img2Img, Painting
from fantascope.serve.job import Job

UNPROCESSABLE = 422
"""What the web UI answers where a field is wrong; elsewhere the status is our own."""

THERE = {"sampler": "Sampler not found", "model": "Model not found"}
"""What the web UI says of names it does not know, with status 404."""


def error_reply(error: FantascopeError) -> tuple[int, dict[str, Any]]:
    """Return status and body of an error.

    `detail` is what clients of the web UI know, `errors` the whole message with what is allowed, `error` our code.
    """
    said, status = error.as_dict(), error.status
    detail = error.message
    if error.code == "unknown_name" and error.param in THERE:
        status, detail = 404, THERE[error.param]
    elif status == 400:
        status = UNPROCESSABLE
    more = {"fantascope": said | {"status": status}}
    return status, {"error": error.code, "detail": detail, "body": "", "errors": str(error), **more}


def reply(data: Any) -> Response:
    """Return JSON in ASCII: what a client sent is echoed, and may hold what UTF-8 cannot."""
    return Response(json.dumps(data), media_type="application/json")


def encoded(data: bytes) -> str:
    """Return bytes as base64."""
    return base64.b64encode(data).decode("ascii")


def painted(
    body: Painting,
    text: str,
    jobs: Sequence[Job],
    artifacts: Sequence[Artifact],
    first: Sequence[Artifact],
    stopped: bool,
) -> dict[str, Any]:
    """Return the reply of txt2img and img2img: pictures, byte for byte as the gallery keeps them, and what made them.

    Args:
        text: The prompt with its styles.
        jobs: What was done; the first one painted.
        artifacts: The pictures.
        first: Those of the first pass, whose seeds count; the same where there was one pass.
        stopped: Whether the run was interrupted; the pictures that were done by then are sent.
    """
    images = [] if body.send_images is False else [encoded(one.data) for one in artifacts]
    info = info_of(body, text, jobs, artifacts, first) | {"interrupted": stopped}
    return {"images": images, "parameters": echo(body, jobs), "info": json.dumps(info)}


def echo(body: Painting, jobs: Sequence[Job]) -> dict[str, Any]:
    """Return the request as it was read, with what was filled in for fields that were not sent."""
    data: dict[str, Any] = body.model_dump()
    if isinstance(body, Img2Img):
        if not body.include_init_images:
            data |= {"init_images": None, "mask": None}
        data.pop("include_init_images")
    made = jobs[0].request if jobs else {}
    names = {"steps": "steps", "cfg_scale": "guidance", "width": "width", "height": "height"}
    usual = {"seed": -1, "subseed": -1, "batch_size": 1, "n_iter": 1, "negative_prompt": "", "prompt": ""}
    usual |= {theirs: made.get(ours) for theirs, ours in names.items()}
    usual["sampler_name"] = SAMPLERS.get(str(made.get("sampler")), made.get("sampler"))
    return data | {name: value for name, value in usual.items() if data.get(name) is None}


def info_of(
    body: Painting, text: str, jobs: Sequence[Job], artifacts: Sequence[Artifact], first: Sequence[Artifact]
) -> dict[str, Any]:
    """Return what the web UI calls `info`, before it is made a string; everything in it was really so."""
    receipts = [one.receipt for one in artifacts if one.receipt is not None]
    made = receipts[0].request if receipts else (jobs[0].request if jobs else {})
    count, negative = len(artifacts), body.negative_prompt or ""
    began = [seeds_of(one.receipt) for one in first if one.receipt is not None]
    seeds, subseeds = [seed for seed, _ in began], [subseed for _, subseed in began]
    main = main_weight(receipts[0].ran.weights) if receipts else None
    asked = jobs[0].request if jobs else {}
    return {
        "prompt": text,
        "all_prompts": [text] * count,
        "negative_prompt": negative,
        "all_negative_prompts": [negative] * count,
        "seed": seeds[0] if seeds else -1,
        "all_seeds": seeds,
        "subseed": subseeds[0] if subseeds else -1,
        "all_subseeds": subseeds,
        "subseed_strength": body.subseed_strength or 0,
        "width": made.get("width"),
        "height": made.get("height"),
        "sampler_name": SAMPLERS.get(str(asked.get("sampler")), asked.get("sampler")),
        "cfg_scale": asked.get("guidance"),
        "steps": asked.get("steps"),
        "batch_size": body.batch_size or 1,
        "restore_faces": False,
        "face_restoration_model": None,
        "sd_model_name": asked.get("model"),
        "sd_model_hash": main.sha256[:10] if main is not None else None,
        "sd_vae_name": None,
        "sd_vae_hash": None,
        "seed_resize_from_w": -1,
        "seed_resize_from_h": -1,
        "denoising_strength": made.get("strength", made.get("detail")) if made.get("picture") else None,
        "extra_generation_params": {},
        "index_of_first_image": 0,
        "infotexts": [parameters_of(one).text() for one in receipts],
        "styles": list(body.styles or ()),
        "job_timestamp": jobs[0].created.strftime("%Y%m%d%H%M%S") if jobs else "0",
        "clip_skip": (asked.get("clip_skip") or 0) + 1,
        "is_using_inpainting_conditioning": False,
        "version": f"fantascope {receipts[0].fantascope}" if receipts else "fantascope",
        "artifacts": [one.id for one in artifacts],
        "jobs": [job.id for job in jobs],
    }


def seeds_of(receipt: Receipt) -> tuple[int, int]:
    """Return seed and variation seed of a picture as the web UI names them.

    What varies from a seed starts between two noises; ours calls the first of them the anchor.
    """
    seed, anchor = int(receipt.request["seed"]), receipt.request.get("anchor")
    if receipt.request.get("chaos") is None or anchor is None:
        return seed, seed
    return int(anchor), seed
