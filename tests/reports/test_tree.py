"""The tree of what was made from what, also where a part of it is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fantascope import Artifact, Imagine, Studio, Vary
from fantascope.reports.tree import root_of, tree
from fantascope.settings import Settings


def made(studio: Studio, request: Any) -> str:
    return next(event.id for event in studio.run(request) if isinstance(event, Artifact))


def test_a_tree_begins_at_the_first_picture_that_is_still_there(tmp_path: Path) -> None:
    with Studio(Settings(home=tmp_path)) as studio:
        first = made(studio, Imagine(prompt="a cat", model="echo", seed=1))
        second = made(studio, Vary(picture=first, prompt="a cat", model="echo", seed=2))
        third = made(studio, Vary(picture=second, prompt="a cat", model="echo", seed=3))
        gallery = studio.gallery
        assert root_of(gallery, third) == first
        nodes = list(tree(gallery, first))
        assert [(node.id, node.depth, node.parent) for node in nodes] == [
            (first, 0, None),
            (second, 1, 0),
            (third, 2, 1),
        ]
        gallery.remove(first, force=True)
        assert root_of(gallery, third) == second
        assert [node.id for node in tree(gallery, second)] == [second, third]


def test_a_picture_that_was_handed_in_is_a_root(tmp_path: Path) -> None:
    import io

    from PIL import Image

    file = io.BytesIO()
    Image.new("RGB", (64, 64), (9, 99, 200)).save(file, "PNG")
    with Studio(Settings(home=tmp_path)) as studio:
        given = studio.gallery.ingest(file.getvalue()).id
        kid = made(studio, Vary(picture=given, prompt="a cat", model="echo", seed=2))
        assert root_of(studio.gallery, kid) == given
        assert [(node.task, node.done) for node in tree(studio.gallery, given)] == [
            ("given", "handed in"),
            ("vary", "vary: a cat"),
        ]
