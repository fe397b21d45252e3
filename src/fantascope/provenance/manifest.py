"""The signed C2PA manifest: written last, over the whole file, so that any later change shows.

Nothing here uses a network: no time stamp authority, no remote manifest, no revocation service.
"""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fantascope.artifact import MEDIA_TYPES
from fantascope.errors import ProvenanceError
from fantascope.provenance import pictures, png
from fantascope.provenance.cites import cites_of
from fantascope.provenance.keys import Keys
from fantascope.receipt import Receipt

log = logging.getLogger(__name__)

TRAINED = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
"""IPTC's word for: made by a model that was trained."""

COMPOSITE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
"""IPTC's word for: put together of pixels that such a model made and others."""

GENERATED = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicMedia")
RECEIPT_LABEL, MINING_LABEL = "org.fantascope.receipt", "cawg.training-mining"
USES = ("cawg.ai_generative_training", "cawg.ai_training", "cawg.ai_inference", "cawg.data_mining")
UNTRUSTED = "signingCredential.untrusted"
RECEIPT_ID = re.compile(r"[0-9a-f]{16}")

_OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False}
_WRITE = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False, **_OFFLINE}}
_READ = {"verify_trust": True, **_OFFLINE}


@dataclass(frozen=True)
class Manifest:
    """What a file's active manifest says, and what checking it gave.

    Attributes:
        valid: The signature and every hash hold.
        trusted: The signer's root is one that this studio recognises.
        failures: C2PA status codes of what does not hold, trust left out.
        issuer: Organisation on the signing certificate.
        generator: Program named in the claim.
        sources: IPTC digital source types of the actions, last part only.
        mining: Use → `allowed`, `notAllowed` or `constrained`.
        record: Our receipt assertion, whole or private, or None.
        ingredients: How many parents it names.
    """

    valid: bool
    trusted: bool
    failures: tuple[str, ...] = ()
    issuer: str = ""
    generator: str = ""
    sources: tuple[str, ...] = ()
    mining: dict[str, str] = field(default_factory=dict)
    record: dict[str, Any] | None = None
    ingredients: int = 0


def record_of(receipt: Receipt) -> dict[str, Any]:
    """Return what the manifest says of a receipt; of a private one: id, pixels, licences, what the model cites, and
    the proof of an edit, which names no words, no settings and no adapters."""
    if not receipt.private:
        return receipt.dump()
    weights = [{"part": w.part.split(" ")[0], "sha256": w.sha256, "licence": w.licence} for w in receipt.ran.weights]
    return {
        "id": receipt.id,
        "private": True,
        "pixels_sha256": receipt.pixels_sha256,
        "attribution": list(receipt.attribution),
        "fantascope": receipt.fantascope,
        "spec": cites_of(receipt.spec),
        "ran": {"weights": weights},
        "kept": None if receipt.kept is None else receipt.kept.model_dump(mode="json"),
    }


def sign(data: bytes, form: str, receipt: Receipt, keys: Keys, parents: Sequence[Path | bytes] = ()) -> bytes:
    """Return the file `data` with a signed manifest inside.

    Args:
        data: A PNG, JPEG or WebP file that already holds its mark and its metadata.
        form: `png`, `jpeg` or `webp`.
        receipt: Closed receipt.
        keys: Signing keys.
        parents: Files this picture was made from, kept as ingredients with their own manifests; of a private receipt
            without them, since they may hold the words that are to be left out.

    Raises:
        ProvenanceError: the manifest cannot be made.
    """
    import c2pa

    info = c2pa.C2paSignerInfo(alg=b"es256", sign_cert=keys.chain, private_key=keys.private, ta_url=None)
    target = io.BytesIO()
    try:
        with (
            c2pa.Context(c2pa.Settings.from_dict(_WRITE)) as context,
            c2pa.Signer.from_info(info) as signer,
            c2pa.Builder(_definition(receipt, form, len(parents)), context) as builder,
        ):
            for index, parent in enumerate(parents):
                raw = pictures.load(parent)
                if receipt.private:
                    raw = _bare(raw)
                kind = MEDIA_TYPES[pictures.probe(raw).form]
                role = "parentOf" if index == 0 and _opened(receipt) else "inputTo"
                ingredient = {"title": f"parent {index}", "relationship": role, "label": f"parent-{index}"}
                try:
                    builder.add_ingredient(ingredient, kind, io.BytesIO(raw))
                except c2pa.C2paError as error:  # a foreign manifest may be broken in ways that cannot be recorded
                    log.info("%s's manifest is left out: %s", ingredient["title"], error)
                    raw = _bare(raw)
                    builder.add_ingredient(ingredient, MEDIA_TYPES[pictures.probe(raw).form], io.BytesIO(raw))
            builder.sign(signer, MEDIA_TYPES[form], io.BytesIO(data), target)
    except c2pa.C2paError as error:
        raise ProvenanceError(f"The picture cannot be signed: {error}") from error
    return target.getvalue()


def read_manifest(source: Path | bytes, trust: bytes = b"") -> Manifest | None:
    """Return what the manifest of a PNG, JPEG or WebP file says, or None when there is none.

    Args:
        source: The file or its bytes.
        trust: PEM texts of the roots to recognise (see `keys.anchors`).

    Raises:
        InvalidPicture: the file is not a picture that can be read safely.
    """
    import c2pa

    data = pictures.load(source)
    media = MEDIA_TYPES[pictures.probe(data).form]
    settings: dict[str, Any] = {"verify": _READ}
    if trust:
        settings["trust"] = {"trust_anchors": trust.decode("ascii", "ignore")}
    try:
        with (
            c2pa.Context(c2pa.Settings.from_dict(settings)) as context,
            c2pa.Reader(media, io.BytesIO(data), context=context) as reader,
        ):
            return _manifest(json.loads(reader.json()))
    except c2pa.C2paError.ManifestNotFound:
        return None
    except c2pa.C2paError as error:
        return Manifest(valid=False, trusted=False, failures=(str(error)[:200],))


def _definition(receipt: Receipt, form: str, parents: int) -> dict[str, Any]:
    agent = {"name": "Fantascope", "version": receipt.fantascope}
    names = [f"parent-{index}" for index in range(parents)]
    done: dict[str, Any] = {
        "action": "c2pa.created",
        "digitalSourceType": source_type(receipt),
        "softwareAgent": agent,
    }
    actions = [done]
    if names and _opened(receipt):
        done["action"] = "c2pa.edited"
        actions = [{"action": "c2pa.opened", "parameters": {"ingredientIds": names[:1]}}, done]
        names = names[1:]
    if names:
        done["parameters"] = {"ingredientIds": names}
    return {
        "claim_generator_info": [agent],
        "title": f"fantascope-{receipt.id}",
        "format": MEDIA_TYPES[form],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": MINING_LABEL, "data": {"entries": {use: {"use": "notAllowed"} for use in USES}}},
            {"label": RECEIPT_LABEL, "kind": "Json", "data": record_of(receipt)},
        ],
    }


def source_type(receipt: Receipt) -> str:
    """Return IPTC's digital source type of a receipt: made by a model, or with pixels in it that were handed in."""
    return COMPOSITE if receipt.composite else TRAINED


def _opened(receipt: Receipt) -> bool:
    """Say whether the first parent is the picture that was edited, not one of several that went in."""
    picture = receipt.request.get("picture")
    return picture is not None and receipt.parents[:1] == (picture,)


def _bare(raw: bytes) -> bytes:
    """Return a picture with nothing in it but its pixels."""
    found = pictures.probe(raw)
    return found.drawn if found.form == "png" else png.write(pictures.decode(found), {})


def _manifest(report: dict[str, Any]) -> Manifest:
    """Turn the reader's report into a `Manifest`; a foreign file may lack anything."""
    active = _dict(_dict(report.get("manifests")).get(str(report.get("active_manifest"))))
    signature = _dict(active.get("signature_info"))
    named = [_dict(entry) for entry in _list(active.get("claim_generator_info"))]
    results = _dict(_dict(report.get("validation_results")).get("activeManifest"))
    codes = [str(_dict(entry).get("code")) for entry in _list(results.get("failure"))]
    sources: list[str] = []
    mining: dict[str, str] = {}
    record: dict[str, Any] | None = None
    for assertion in map(_dict, _list(active.get("assertions"))):
        label, data = str(assertion.get("label")), _dict(assertion.get("data"))
        if label.startswith("c2pa.actions"):
            kinds = [_dict(action).get("digitalSourceType") for action in _list(data.get("actions"))]
            sources += [str(kind).rsplit("/", 1)[-1] for kind in kinds if kind]
        elif label.startswith((MINING_LABEL, "c2pa.training-mining")):
            mining |= {str(use): str(_dict(rule).get("use")) for use, rule in _dict(data.get("entries")).items()}
        elif label == RECEIPT_LABEL:
            record = data
    state = report.get("validation_state")
    return Manifest(
        valid=state in ("Valid", "Trusted"),
        trusted=state == "Trusted",
        failures=tuple(dict.fromkeys(code for code in codes if code != UNTRUSTED)),
        issuer=str(signature.get("issuer") or ""),
        generator=str(next((entry["name"] for entry in named if "name" in entry), active.get("claim_generator") or "")),
        sources=tuple(dict.fromkeys(sources)),
        mining=mining,
        record=record,
        ingredients=len(_list(active.get("ingredients"))),
    )


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
