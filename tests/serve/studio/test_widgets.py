"""What a schema tells a form beside types."""

from __future__ import annotations

from fantascope.request import REQUESTS
from fantascope.serve.own.schema import WIDGET, schema_of


def test_pictures_masks_and_ranges_are_named() -> None:
    for task, request in REQUESTS.items():
        schema = schema_of(request)
        parts = [schema, *schema.get("$defs", {}).values()]
        hints = {name: told.get(WIDGET) for part in parts for name, told in part.get("properties", {}).items()}
        for name in ("picture", "pictures"):
            assert hints.get(name, "picture") == "picture", (task, name)
        assert hints.get("mask", "mask") == "mask"
        if "adapters" in hints:
            assert hints["weight"] == "slider"
        assert hints.get("prompt") is None
