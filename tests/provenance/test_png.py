"""Our PNG writer: any reader gets the same pixels and texts back."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.provenance.conftest import flat_art, texture

from fantascope.provenance import png


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([3, 4]), st.integers(0, 2**32 - 1))
def test_pixels_come_back(height: int, width: int, channels: int, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)
    data = png.write(pixels, {})
    Image.open(io.BytesIO(data)).verify()
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == {3: "RGB", 4: "RGBA"}[channels]
        assert (np.asarray(image) == pixels).all()


@pytest.mark.parametrize("pixels", [flat_art(1, 256), texture(1, 256)], ids=["flat", "texture"])
def test_size_is_close_to_a_general_encoder(pixels: np.ndarray) -> None:
    ours, theirs = png.write(pixels, {}), io.BytesIO()
    Image.fromarray(pixels).save(theirs, "PNG", compress_level=1)
    assert len(ours) < 1.25 * len(theirs.getvalue())


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=80))
def test_texts_come_back(text: str) -> None:
    data = png.write(np.zeros((2, 2, 3), np.uint8), {"parameters": text, "XML:com.adobe.xmp": f"<x>{text}</x>"})
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        assert image.text["parameters"] == text  # type: ignore[attr-defined]
        assert image.text["XML:com.adobe.xmp"] == f"<x>{text}</x>"  # type: ignore[attr-defined]
